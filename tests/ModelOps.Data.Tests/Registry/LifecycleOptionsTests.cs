using System.ComponentModel.DataAnnotations;
using ModelOps.Registry;

namespace ModelOps.Data.Tests.Registry;

public sealed class LifecycleOptionsTests
{
    [Fact]
    public void PolicyOf_Defaults_ProductionNeedsApprovalAndStagingDoesNot()
    {
        var options = new LifecycleOptions();
        Assert.False(options.PolicyOf(Stages.Staging).RequireApproval);
        Assert.True(options.PolicyOf(Stages.Production).RequireApproval);
        Assert.False(options.PolicyOf(Stages.Production).SingleUser);
        Assert.Null(options.Retention.Days);
    }

    [Fact]
    public void Validate_ManyFaults_NamesEachKey()
    {
        var options = new LifecycleOptions
        {
            Staging = new StageGates
            {
                Metrics = new Dictionary<string, MetricBounds> { ["loss"] = new() { Min = 2, Max = 1 }, ["accuracy"] = new() },
            },
            Retention = new RetentionOptions { Days = 0 },
        };
        var faults = new List<ValidationResult>();
        Assert.False(Validator.TryValidateObject(options, new ValidationContext(options), faults, validateAllProperties: true));
        Assert.Equal(
            ["lifecycle:staging:metrics:loss", "lifecycle:staging:metrics:accuracy", "lifecycle:retention:days"],
            faults.Select(fault => fault.MemberNames.Single()));
    }
}
