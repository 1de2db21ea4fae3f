using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace ModelOps.Registry.Metadata.Migrations.Postgres
{
    /// <inheritdoc />
    public partial class JobSamples : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.CreateTable(
                name: "job_samples",
                columns: table => new
                {
                    job_id = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    step = table.Column<long>(type: "bigint", nullable: false),
                    number = table.Column<int>(type: "integer", nullable: false),
                    at = table.Column<long>(type: "bigint", nullable: false),
                    prompt = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    text = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    complete = table.Column<bool>(type: "boolean", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_job_samples", x => new { x.job_id, x.step, x.number });
                    table.ForeignKey(
                        name: "FK_job_samples_jobs_job_id",
                        column: x => x.job_id,
                        principalTable: "jobs",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Cascade);
                });
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropTable(
                name: "job_samples");
        }
    }
}
