using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace ModelOps.Registry.Metadata.Migrations.Postgres
{
    /// <inheritdoc />
    public partial class DeploymentAdapters : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.AddColumn<int>(
                name: "keep_alive_seconds",
                table: "deployments",
                type: "integer",
                nullable: true);

            migrationBuilder.AddColumn<int>(
                name: "queue_length",
                table: "deployments",
                type: "integer",
                nullable: true);

            migrationBuilder.CreateTable(
                name: "deployment_adapters",
                columns: table => new
                {
                    deployment = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    name = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    artifact = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    manifest_digest = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    created_at = table.Column<long>(type: "bigint", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_deployment_adapters", x => new { x.deployment, x.name });
                    table.ForeignKey(
                        name: "FK_deployment_adapters_deployments_deployment",
                        column: x => x.deployment,
                        principalTable: "deployments",
                        principalColumn: "name",
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateIndex(
                name: "IX_deployment_adapters_artifact",
                table: "deployment_adapters",
                column: "artifact");
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropTable(
                name: "deployment_adapters");

            migrationBuilder.DropColumn(
                name: "keep_alive_seconds",
                table: "deployments");

            migrationBuilder.DropColumn(
                name: "queue_length",
                table: "deployments");
        }
    }
}
