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
}
