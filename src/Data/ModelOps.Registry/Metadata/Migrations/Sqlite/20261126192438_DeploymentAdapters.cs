using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace ModelOps.Registry.Metadata.Migrations.Sqlite
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
                type: "INTEGER",
                nullable: true);

            migrationBuilder.AddColumn<int>(
                name: "queue_length",
                table: "deployments",
                type: "INTEGER",
                nullable: true);

            migrationBuilder.CreateTable(
                name: "deployment_adapters",
                columns: table => new
                {
                    deployment = table.Column<string>(type: "TEXT", nullable: false),
                    name = table.Column<string>(type: "TEXT", nullable: false),
                    artifact = table.Column<string>(type: "TEXT", nullable: false),
                    manifest_digest = table.Column<string>(type: "TEXT", nullable: false),
                    created_at = table.Column<long>(type: "INTEGER", nullable: false)
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
