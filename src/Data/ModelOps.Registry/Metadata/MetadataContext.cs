using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Storage.ValueConversion;

namespace ModelOps.Registry;

/// <summary>The metadata database. Tables and columns are snake_case; times are Unix milliseconds, so that they sort.</summary>
public abstract class MetadataContext(DbContextOptions options) : DbContext(options)
{
    public DbSet<ArtifactRow> Artifacts => Set<ArtifactRow>();
    public DbSet<ArtifactFileRow> ArtifactFiles => Set<ArtifactFileRow>();
    public DbSet<ArtifactEdgeRow> ArtifactEdges => Set<ArtifactEdgeRow>();
    public DbSet<JobRow> Jobs => Set<JobRow>();
    public DbSet<JobEventRow> JobEvents => Set<JobEventRow>();
    public DbSet<JobLogRow> JobLogs => Set<JobLogRow>();
    public DbSet<JobMetricRow> JobMetrics => Set<JobMetricRow>();
    public DbSet<JobSampleRow> JobSamples => Set<JobSampleRow>();
    public DbSet<DatasetRow> Datasets => Set<DatasetRow>();
    public DbSet<DatasetVersionRow> DatasetVersions => Set<DatasetVersionRow>();
    public DbSet<DeploymentRow> Deployments => Set<DeploymentRow>();
    public DbSet<DeploymentAdapterRow> DeploymentAdapters => Set<DeploymentAdapterRow>();
    public DbSet<UserRow> Users => Set<UserRow>();
    public DbSet<SessionRow> Sessions => Set<SessionRow>();
    public DbSet<RefreshTokenRow> RefreshTokens => Set<RefreshTokenRow>();
    public DbSet<ApiKeyRow> ApiKeys => Set<ApiKeyRow>();
    public DbSet<ApprovalRow> Approvals => Set<ApprovalRow>();
    public DbSet<AliasRow> Aliases => Set<AliasRow>();
    public DbSet<AliasMoveRow> AliasMoves => Set<AliasMoveRow>();
    public DbSet<FileRow> Files => Set<FileRow>();
    public DbSet<BlobUseRow> BlobUses => Set<BlobUseRow>();
    public DbSet<AuditRow> Audit => Set<AuditRow>();

    /// <summary>
    /// Makes transactions that read, decide and write the same thing wait for each other: what was read stays true until the commit.
    /// The lock is free again when the transaction ends, however it ends.
    /// </summary>
    /// <param name="what">Any name; those that lock the same one exclude each other.</param>
    /// <exception cref="InvalidOperationException">No transaction has begun.</exception>
    public Task LockAsync(string what, CancellationToken cancellationToken = default) => Database.CurrentTransaction is null
        ? throw new InvalidOperationException($"Begin a transaction before locking '{what}': the lock lasts as long as it.")
        : LockInTransactionAsync(what, cancellationToken);

    private protected abstract Task LockInTransactionAsync(string what, CancellationToken cancellationToken);

    protected override void ConfigureConventions(ModelConfigurationBuilder configurationBuilder) =>
        configurationBuilder.Properties<DateTimeOffset>().HaveConversion<UnixMilliseconds>();

    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        modelBuilder.Entity<ArtifactRow>(artifact =>
        {
            artifact.HasIndex(row => new { row.Name, row.Version }).IsUnique();
            artifact.HasMany(row => row.Files).WithOne().HasForeignKey(file => file.ArtifactId);
            artifact.HasMany(row => row.Parents).WithOne().HasForeignKey(edge => edge.ArtifactId);
        });
        modelBuilder.Entity<ArtifactFileRow>(file =>
        {
            file.HasKey(row => new { row.ArtifactId, row.Path });
            file.HasIndex(row => row.Sha256);
        });
        modelBuilder.Entity<ArtifactEdgeRow>(edge =>
        {
            edge.HasKey(row => new { row.ArtifactId, row.Role, row.ParentId });
            edge.HasOne(row => row.Parent).WithMany().HasForeignKey(row => row.ParentId).OnDelete(DeleteBehavior.Restrict);
        });
        modelBuilder.Entity<ArtifactEdgeRow>().HasIndex(row => row.ParentId);
        modelBuilder.Entity<AliasRow>().HasKey(row => new { row.Name, row.Alias });
        modelBuilder.Entity<AliasRow>().HasOne(row => row.Artifact).WithMany().HasForeignKey(row => row.ArtifactId);
        modelBuilder.Entity<AliasMoveRow>().HasIndex(row => new { row.Name, row.Alias });
        modelBuilder.Entity<BlobUseRow>().HasKey(row => row.Sha256);
        modelBuilder.Entity<FileRow>().HasIndex(row => new { row.CreatedBy, row.Id });
        modelBuilder.Entity<FileRow>().HasIndex(row => row.Sha256);
        modelBuilder.Entity<JobRow>().HasIndex(row => new { row.State, row.CreatedAt });
        modelBuilder.Entity<JobRow>().HasIndex(row => row.Artifact);
        modelBuilder.Entity<JobRow>().HasIndex(row => new { row.CreatedBy, row.State });
        modelBuilder.Entity<DeploymentRow>().HasIndex(row => row.Artifact);
        modelBuilder.Entity<DatasetVersionRow>().HasIndex(row => row.Artifact);
        modelBuilder.Entity<JobEventRow>(jobEvent =>
        {
            jobEvent.HasKey(row => new { row.JobId, row.Sequence });
            jobEvent.HasOne<JobRow>().WithMany().HasForeignKey(row => row.JobId);
        });
        modelBuilder.Entity<JobLogRow>(line =>
        {
            line.HasKey(row => new { row.JobId, row.Sequence });
            line.HasOne<JobRow>().WithMany().HasForeignKey(row => row.JobId);
        });
        modelBuilder.Entity<JobMetricRow>(metric =>
        {
            metric.HasKey(row => new { row.JobId, row.Name, row.Step });
            metric.HasOne<JobRow>().WithMany().HasForeignKey(row => row.JobId);
        });
        modelBuilder.Entity<JobSampleRow>(sample =>
        {
            sample.HasKey(row => new { row.JobId, row.Step, row.Number });
            sample.HasOne<JobRow>().WithMany().HasForeignKey(row => row.JobId);
        });
        modelBuilder.Entity<DatasetRow>().HasKey(row => row.Name);
        modelBuilder.Entity<DatasetVersionRow>(version =>
        {
            version.HasKey(row => new { row.Dataset, row.Version });
            version.HasOne<DatasetRow>().WithMany().HasForeignKey(row => row.Dataset);
        });
        modelBuilder.Entity<DeploymentRow>(deployment =>
        {
            deployment.HasKey(row => row.Name);
            deployment.Property(row => row.Replicas).HasDefaultValue(1);
            deployment.HasMany(row => row.Adapters).WithOne().HasForeignKey(adapter => adapter.Deployment);
        });
        modelBuilder.Entity<DeploymentAdapterRow>(adapter =>
        {
            adapter.HasKey(row => new { row.Deployment, row.Name });
            adapter.HasIndex(row => row.Artifact);
        });
        modelBuilder.Entity<UserRow>().HasIndex(row => row.Name).IsUnique();
        modelBuilder.Entity<SessionRow>(session =>
        {
            session.HasIndex(row => row.UserId);
            session.HasIndex(row => row.RevokedAt);
        });
        modelBuilder.Entity<RefreshTokenRow>(token =>
        {
            token.HasKey(row => row.Hash);
            token.HasOne<SessionRow>().WithMany().HasForeignKey(row => row.SessionId);
        });
        modelBuilder.Entity<ApiKeyRow>(key =>
        {
            key.HasIndex(row => row.Hash).IsUnique();
            key.HasOne(row => row.User).WithMany().HasForeignKey(row => row.UserId);
        });
        modelBuilder.Entity<ApprovalRow>().HasOne<ArtifactRow>().WithMany().HasForeignKey(row => row.ArtifactId);
        modelBuilder.Entity<AuditRow>(audit =>
        {
            audit.HasKey(row => row.Sequence);
            audit.Property(row => row.Sequence).ValueGeneratedNever();
        });
        UseSnakeCaseColumns(modelBuilder);
    }

    private static void UseSnakeCaseColumns(ModelBuilder modelBuilder)
    {
        foreach (var entity in modelBuilder.Model.GetEntityTypes())
        {
            entity.SetTableName(SnakeCase(entity.GetTableName()!));
            foreach (var property in entity.GetProperties())
                property.SetColumnName(SnakeCase(property.Name));
        }
    }

    private static string SnakeCase(string name) => JsonNamingPolicy.SnakeCaseLower.ConvertName(name);

    private sealed class UnixMilliseconds() : ValueConverter<DateTimeOffset, long>(
        time => time.ToUnixTimeMilliseconds(), value => DateTimeOffset.FromUnixTimeMilliseconds(value));
}
