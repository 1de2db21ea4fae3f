using Microsoft.Data.Sqlite;

namespace ModelOps.Temporal;

/// <summary>A prepared statement whose parameters <c>$p0, $p1, …</c> are given in order.</summary>
internal sealed class Statement(SqliteConnection connection, string sql) : IDisposable
{
    private readonly SqliteCommand command = new(sql, connection);

    public SqliteTransaction? Transaction
    {
        set => command.Transaction = value;
    }

    public int Execute(params ReadOnlySpan<object?> values)
    {
        Bind(values);
        return command.ExecuteNonQuery();
    }

    public List<T> Query<T>(Func<SqliteDataReader, T> read, params ReadOnlySpan<object?> values)
    {
        Bind(values);
        using var reader = command.ExecuteReader();
        var rows = new List<T>();
        while (reader.Read())
            rows.Add(read(reader));
        return rows;
    }

    public void Dispose() => command.Dispose();

    private void Bind(ReadOnlySpan<object?> values)
    {
        for (var i = 0; i < values.Length; i++)
        {
            if (command.Parameters.Count == i)
                command.Parameters.Add(new SqliteParameter { ParameterName = $"$p{i}" });
            command.Parameters[i].Value = values[i] ?? DBNull.Value;
        }
    }
}
