using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace ModelOps.Registry.Metadata.Migrations
{
    /// <inheritdoc />
    public partial class AliasesAndRetention : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.AddColumn<string>(
                name: "artifact",
                table: "jobs",
                type: "TEXT",
                nullable: true);

            migrationBuilder.AddColumn<long>(
                name: "archived_at",
                table: "artifacts",
                type: "INTEGER",
                nullable: true);

            migrationBuilder.AddColumn<long>(
                name: "files_removed_at",
                table: "artifacts",
                type: "INTEGER",
                nullable: true);

            migrationBuilder.CreateTable(
                name: "alias_moves",
                columns: table => new
                {
                    id = table.Column<long>(type: "INTEGER", nullable: false)
                        .Annotation("Sqlite:Autoincrement", true),
                    name = table.Column<string>(type: "TEXT", nullable: false),
                    alias = table.Column<string>(type: "TEXT", nullable: false),
                    from = table.Column<string>(type: "TEXT", nullable: true),
                    to = table.Column<string>(type: "TEXT", nullable: true),
                    by = table.Column<string>(type: "TEXT", nullable: false),
                    at = table.Column<long>(type: "INTEGER", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_alias_moves", x => x.id);
                });

            migrationBuilder.CreateTable(
                name: "aliases",
                columns: table => new
                {
                    name = table.Column<string>(type: "TEXT", nullable: false),
                    alias = table.Column<string>(type: "TEXT", nullable: false),
                    artifact_id = table.Column<long>(type: "INTEGER", nullable: false),
                    by = table.Column<string>(type: "TEXT", nullable: false),
                    at = table.Column<long>(type: "INTEGER", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_aliases", x => new { x.name, x.alias });
                    table.ForeignKey(
                        name: "FK_aliases_artifacts_artifact_id",
                        column: x => x.artifact_id,
                        principalTable: "artifacts",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateTable(
                name: "blob_uses",
                columns: table => new
                {
                    sha256 = table.Column<string>(type: "TEXT", nullable: false),
                    at = table.Column<long>(type: "INTEGER", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_blob_uses", x => x.sha256);
                });

            migrationBuilder.CreateIndex(
                name: "IX_jobs_artifact",
                table: "jobs",
                column: "artifact");

            migrationBuilder.CreateIndex(
                name: "IX_deployments_artifact",
                table: "deployments",
                column: "artifact");

            migrationBuilder.CreateIndex(
                name: "IX_dataset_versions_artifact",
                table: "dataset_versions",
                column: "artifact");

            migrationBuilder.CreateIndex(
                name: "IX_alias_moves_name_alias",
                table: "alias_moves",
                columns: new[] { "name", "alias" });

            migrationBuilder.CreateIndex(
                name: "IX_aliases_artifact_id",
                table: "aliases",
                column: "artifact_id");
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropTable(
                name: "alias_moves");

            migrationBuilder.DropTable(
                name: "aliases");

            migrationBuilder.DropTable(
                name: "blob_uses");

            migrationBuilder.DropIndex(
                name: "IX_jobs_artifact",
                table: "jobs");

            migrationBuilder.DropIndex(
                name: "IX_deployments_artifact",
                table: "deployments");

            migrationBuilder.DropIndex(
                name: "IX_dataset_versions_artifact",
                table: "dataset_versions");

            migrationBuilder.DropColumn(
                name: "artifact",
                table: "jobs");

            migrationBuilder.DropColumn(
                name: "archived_at",
                table: "artifacts");

            migrationBuilder.DropColumn(
                name: "files_removed_at",
                table: "artifacts");
        }
    }
}
