using Google.Protobuf;

namespace ModelOps.ModelFiles.Tokenizers;

/// <summary>Reads SentencePiece's tokenizer.model (sentencepiece_model.proto) of the BPE kind as the tokenizer.json that equals it.</summary>
public static class SentencePieceModel
{
    public const string FileName = "tokenizer.model";

    private const string Space = "\u2581";
    private const int BpeKind = 2;

    private enum PieceType
    {
        Normal = 1,
        Unknown = 2,
        Control = 3,
        UserDefined = 4,
        Unused = 5,
        Byte = 6,
    }

    /// <exception cref="InvalidDataException">The file is not a SentencePiece model; the message names it and every fault.</exception>
    /// <exception cref="NotSupportedException">The file needs parts that are not implemented; the message names each.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static TokenizerJson Load(string path) => Parse(File.ReadAllBytes(path), path);

    /// <inheritdoc cref="Load"/>
    /// <param name="name">What error messages call the file.</param>
    public static TokenizerJson Parse(byte[] bytes, string name)
    {
        Contents contents;
        try
        {
            contents = Contents.Read(bytes);
        }
        catch (InvalidProtocolBufferException exception)
        {
            throw new InvalidDataException($"{name} is not a SentencePiece model: {exception.Message}", exception);
        }
        contents.ThrowUnlessSupported(name);
        return ToTokenizer(contents);
    }

    private static TokenizerJson ToTokenizer(Contents contents)
    {
        var pieces = contents.Pieces;
        var vocabulary = pieces.Index().ToDictionary(entry => entry.Item.Text, entry => entry.Index);
        return new TokenizerJson
        {
            Vocabulary = vocabulary,
            Merges = MergesOf(pieces),
            // As transformers and llama.cpp have it: all are found in the text as given, and what follows one begins anew. SentencePiece itself
            // finds defined symbols only, and begins once.
            AddedTokens = [.. pieces.Index().Where(entry => entry.Item.Type is PieceType.Control or PieceType.Unknown or PieceType.UserDefined)
                .Select(entry => new AddedToken(entry.Index, entry.Item.Text) { Special = entry.Item.Type != PieceType.UserDefined })],
            Normalizer = contents.AddsDummyPrefix
                ? [new NormalizerStep.Prepend(Space), new NormalizerStep.Replace(" ", Space)]
                : [new NormalizerStep.Replace(" ", Space)],
            PreTokenizer = [],
            ByteFallback = contents.ByteFallback,
            UnknownToken = pieces.Find(piece => piece.Type == PieceType.Unknown)?.Text,
            FusesUnknown = true,
            StripsLeadingSpace = contents.AddsDummyPrefix,
            // transformers puts it there for these files; tokenizer_config.json can say otherwise in tokenizer.json only.
            TokensBefore = pieces.ElementAtOrDefault(contents.BosId) is { Type: PieceType.Control } bos ? [bos.Text] : [],
        };
    }

    /// <summary>SentencePiece merges any two neighbours that make a piece, the best piece first: each way to cut a piece in two is a rule.</summary>
    private static List<MergeRule> MergesOf(List<Piece> pieces)
    {
        var normal = pieces.Where(piece => piece.Type is PieceType.Normal or PieceType.UserDefined).ToArray();
        var texts = normal.Select(piece => piece.Text).ToHashSet();
        var byText = texts.GetAlternateLookup<ReadOnlySpan<char>>();
        var merges = new List<MergeRule>();
        foreach (var piece in normal.OrderByDescending(piece => piece.Score))
        {
            for (var cut = 1; cut < piece.Text.Length; cut++)
            {
                if (byText.Contains(piece.Text.AsSpan(0, cut)) && byText.Contains(piece.Text.AsSpan(cut)))
                    merges.Add(new MergeRule(piece.Text[..cut], piece.Text[cut..]));
            }
        }
        return merges;
    }

    private sealed record Piece(string Text, float Score, PieceType Type);

    /// <summary>The fields of ModelProto that say how to tokenize.</summary>
    private sealed class Contents
    {
        public List<Piece> Pieces { get; } = [];

        public bool ByteFallback { get; private set; }

        public bool AddsDummyPrefix { get; private set; } = true;

        public int BosId { get; private set; } = 1;

        private int Kind { get; set; } = 1;

        private bool RemovesExtraSpaces { get; set; } = true;

        private bool EscapesSpaces { get; set; } = true;

        private bool SuffixesSpaces { get; set; }

        private bool HasCharacterMap { get; set; }

        public static Contents Read(byte[] bytes)
        {
            var contents = new Contents();
            using var file = new CodedInputStream(bytes);
            ForEachField(file, (field, input) =>
            {
                if (field is < 1 or > 3) return false;
                using var message = input.ReadBytes().CreateCodedInput();
                if (field == 1) contents.Pieces.Add(ReadPiece(message));
                else if (field == 2) contents.ReadTrainer(message);
                else contents.ReadNormalizer(message);
                return true;
            });
            return contents;
        }

        public void ThrowUnlessSupported(string name)
        {
            var malformed = new List<string>();
            if (Pieces.Count == 0) malformed.Add("it has no pieces");
            malformed.AddRange(Pieces.GroupBy(piece => piece.Text).Where(group => group.Count() > 1).Take(10).Select(group => $"'{group.Key}' stands there twice"));
            if (Pieces.Any(piece => piece.Text.Length == 0)) malformed.Add("a piece has no text");
            if (Pieces.Any(piece => !float.IsFinite(piece.Score))) malformed.Add("a score is not a number");
            if (Pieces.Any(piece => !Enum.IsDefined(piece.Type))) malformed.Add("a piece is of no known type");
            if (malformed.Count > 0) throw new InvalidDataException($"{name} is not a well-formed SentencePiece model: {string.Join("; ", malformed)}.");

            var unsupported = new List<string>();
            if (Kind != BpeKind) unsupported.Add(Kind switch { 1 => "a unigram model (only BPE is)", 3 => "a word model", 4 => "a character model", _ => $"model type {Kind}" });
            if (HasCharacterMap) unsupported.Add("a normalization with a precompiled character map (use identity, or a tokenizer.json)");
            if (RemovesExtraSpaces) unsupported.Add("remove_extra_whitespaces");
            if (!EscapesSpaces) unsupported.Add("escape_whitespaces: false");
            if (SuffixesSpaces) unsupported.Add("treat_whitespace_as_suffix");
            if (Pieces.Any(piece => piece.Type == PieceType.Unused)) unsupported.Add("unused pieces");
            if (unsupported.Count > 0) throw new NotSupportedException($"{name} needs what is not supported yet: {string.Join("; ", unsupported)}.");
        }

        private static Piece ReadPiece(CodedInputStream message)
        {
            var (text, score, type) = ("", 0f, PieceType.Normal);
            ForEachField(message, (field, input) =>
            {
                if (field == 1) text = input.ReadString();
                else if (field == 2) score = input.ReadFloat();
                else if (field == 3) type = (PieceType)input.ReadEnum();
                else return false;
                return true;
            });
            return new Piece(text, score, type);
        }

        private void ReadTrainer(CodedInputStream message) => ForEachField(message, (field, input) =>
        {
            if (field == 3) Kind = input.ReadEnum();
            else if (field == 24) SuffixesSpaces = input.ReadBool();
            else if (field == 35) ByteFallback = input.ReadBool();
            else if (field == 41) BosId = input.ReadInt32();
            else return false;
            return true;
        });

        private void ReadNormalizer(CodedInputStream message) => ForEachField(message, (field, input) =>
        {
            if (field == 2) HasCharacterMap = input.ReadBytes().Length > 0;
            else if (field == 3) AddsDummyPrefix = input.ReadBool();
            else if (field == 4) RemovesExtraSpaces = input.ReadBool();
            else if (field == 5) EscapesSpaces = input.ReadBool();
            else return false;
            return true;
        });

        /// <param name="read">Reads the value of a field it knows; false for one that is skipped.</param>
        private static void ForEachField(CodedInputStream input, Func<int, CodedInputStream, bool> read)
        {
            while (input.ReadTag() is var tag and not 0)
            {
                if (!read(WireFormat.GetTagFieldNumber(tag), input)) input.SkipLastField();
            }
        }
    }
}
