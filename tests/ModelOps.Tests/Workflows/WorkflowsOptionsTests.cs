using System.ComponentModel.DataAnnotations;
using ModelOps.Server.Workflows;

namespace ModelOps.Tests.Workflows;

public sealed class WorkflowsOptionsTests
{
    [Theory]
    [InlineData("temporal.example.org:7233", true)]
    [InlineData("temporal:80", true)]
    [InlineData("temporal:443", true)]
    [InlineData("127.0.0.1:7233", true)]
    [InlineData("[::1]:7233", true)]
    [InlineData("temporal", false)]
    [InlineData("temporal:", false)]
    [InlineData("temporal:port", false)]
    [InlineData("temporal:70000", false)]
    [InlineData("http://temporal:7233", false)]
    [InlineData("temporal:7233/path", false)]
    [InlineData("me@temporal:7233", false)]
    [InlineData("", false)]
    public void Validate_Address_TakesHostAndPortOnly(string address, bool isValid)
    {
        var options = new WorkflowsOptions { Address = address };
        Assert.Equal(isValid ? [] : [$"'{address}' is not host:port"], options.Validate(new ValidationContext(options)).Select(fault => fault.ErrorMessage));
    }
}
