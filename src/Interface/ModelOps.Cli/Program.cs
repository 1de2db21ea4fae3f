using System.Runtime.InteropServices;
using ModelOps.Cli;

using var stop = new CancellationTokenSource();
var interrupted = false;
using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal);
using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal);
using var hangUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, OnSignal);
return await App.RunAsync(args, CliHost.OfProcess(), stop.Token);

void OnSignal(PosixSignalContext context)
{
    // The first signal asks for a clean end; a second one takes the default way out.
    context.Cancel = !interrupted;
    interrupted = true;
    stop.Cancel();
}
