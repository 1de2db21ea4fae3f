namespace ModelOps.Client;

public static class JobStates
{
    extension(JobState state)
    {
        /// <summary>Whether nothing more will happen to the job.</summary>
        public bool IsFinal => state is JobState.Succeeded or JobState.Failed or JobState.Canceled;
    }
}
