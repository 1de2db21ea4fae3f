using Microsoft.EntityFrameworkCore.Design;

namespace ModelOps.Registry;

/// <summary>Lets <c>dotnet ef migrations add</c> make a context; it opens no file.</summary>
internal sealed class DesignTimeFactory : IDesignTimeDbContextFactory<MetadataContext>
{
    public MetadataContext CreateDbContext(string[] args) => new(MetadataDatabase.Options("design-time.db"));
}
