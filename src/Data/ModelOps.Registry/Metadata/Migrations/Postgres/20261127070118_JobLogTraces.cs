using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace ModelOps.Registry.Metadata.Migrations.Postgres
{
    /// <inheritdoc />
    public partial class JobLogTraces : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.AddColumn<string>(
                name: "span_id",
                table: "job_logs",
                type: "text",
                nullable: true,
                collation: "C");

            migrationBuilder.AddColumn<string>(
                name: "trace_id",
                table: "job_logs",
                type: "text",
                nullable: true,
                collation: "C");
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropColumn(
                name: "span_id",
                table: "job_logs");

            migrationBuilder.DropColumn(
                name: "trace_id",
                table: "job_logs");
        }
    }
}
