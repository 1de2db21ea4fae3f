using ModelOps.Recipes;

namespace ModelOps.Services.Tests.Training;

public class RecipeFileTests
{
    [Fact]
    public void Parse_Yaml_SetsWhatIsThereAndLeavesTheRestToBeChosen()
    {
        var recipe = Read("""
            # a comment
            method: full
            epochs: auto
            learning_rate: 1e-4
            schedule: wsd
            packing: false
            train_on: all
            seed: 7
            """);

        Assert.Equal(
            new Recipe { Method = TrainingMethod.Full, LearningRate = 1e-4, Schedule = "wsd", Packing = false, TrainOn = LearnedTokens.All, Seed = 7 },
            recipe);
    }

    [Fact]
    public void Parse_JsonAndYaml_AreTheSame()
    {
        var json = Read("""{"method": "qlora", "rank": 8, "target_modules": ["q_proj", "v_proj"], "dora": true}""");

        Assert.Equal(json, Read("method: qlora\nrank: 8\ntarget_modules: [q_proj, v_proj]\ndora: true\n"));
        Assert.Equal("q_proj,v_proj", json.TargetModules);
    }

    [Theory]
    [InlineData("")]
    [InlineData("# nothing\n")]
    [InlineData("{}")]
    public void Parse_Nothing_IsTheDefault(string text) => Assert.Equal(new Recipe(), Read(text));

    [Fact]
    public void Parse_ManyFaults_SaysThemAllWithTheirLines()
    {
        var errors = Faults("""
            method: lorra
            lerning_rate: 0.1
            rank: 0
            dropout: [1, 2]
            packing: maybe
            seed: 1.5
            completely_different: 1
            """);

        Assert.Equal(7, errors.Count);
        Assert.StartsWith("line 1: method must be one of lora, qlora, full, pretrain, not 'lorra'", errors[0], StringComparison.Ordinal);
        Assert.Equal("line 2: there is no key lerning_rate; did you mean learning_rate?", errors[1]);
        Assert.Equal("line 3: rank must be a whole number from 1 to 4096, or auto, not '0'", errors[2]);
        Assert.StartsWith("line 4: dropout must be a number from 0 to 0.95, not", errors[3], StringComparison.Ordinal);
        Assert.StartsWith("line 5: packing must be true or false", errors[4], StringComparison.Ordinal);
        Assert.StartsWith("line 6: seed must be a whole number", errors[5], StringComparison.Ordinal);
        Assert.StartsWith("line 7: there is no key completely_different; there are method, initialization", errors[6], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("- a\n- b\n", "one map")]
    [InlineData("a: [", "not valid YAML")]
    [InlineData("{\"a\": ", "not valid JSON")]
    [InlineData("{\"rank\": 1, \"rank\": 2}", "rank stands there twice")]
    [InlineData("rank: 1\nrank: 2\n", "rank")]
    [InlineData("method: full\ndora: true\n", "dora is for lora and qlora")]
    [InlineData("method: pretrain\nrank: 8\n", "rank is for lora and qlora; method is pretrain")]
    [InlineData("method: pretrain\ntrain_on: all\n", "train_on is for lora and qlora and full; method is pretrain")]
    [InlineData("initialization: random\n", "initialization is for pretrain; method is lora")]
    [InlineData("rank: NaN\n", "rank must be")]
    [InlineData("learning_rate: NaN\n", "learning_rate must be")]
    public void Parse_Broken_SaysWhy(string text, string reason) => Assert.Contains(reason, Assert.Single(Faults(text)), StringComparison.Ordinal);

    [Fact]
    public void Parse_FullWithSettingsOfAnAdapter_RefusesThemAll()
    {
        Assert.Equal(
            ["rank is for lora and qlora; method is full", "dropout is for lora and qlora; method is full"],
            Faults("rank: 8\ndropout: 0.1\ntarget_modules: all-linear\ndora: false\nmethod: full\n"));
        Read("rank: auto\nmethod: full\n");
    }

    [Fact]
    public void Parse_Settings_StandInPlaceOfTheText()
    {
        var reading = Assert.IsType<RecipeReading.Read>(
            RecipeFile.Parse("rank: 8\nalpha: 16\nmethod: lora\n", new RecipeSetting("method", "qlora"), new RecipeSetting("rank", "auto"), new RecipeSetting("learning_rate", "1e-4")));

        Assert.Equal(new Recipe { Method = TrainingMethod.Qlora, Alpha = 16, LearningRate = 1e-4 }, reading.Recipe);
        Assert.Equal("""{"method":"qlora","learning_rate":0.0001,"alpha":16}""", reading.Written.GetRawText());
    }

    [Fact]
    public void Parse_FaultsOfTextAndSettings_AreSaidTogether()
    {
        var reading = RecipeFile.Parse("rank: 8\npacking: maybe\n", new RecipeSetting("method", "full"), new RecipeSetting("epochs", "0"));

        Assert.Equal(
            [
                "line 2: packing must be true or false, not 'maybe'", "epochs must be a whole number from 1 to 10000, or auto, not '0'",
                "rank is for lora and qlora; method is full",
            ],
            Assert.IsType<RecipeReading.Invalid>(reading).Errors);
    }

    [Fact]
    public void Written_ReadAgain_IsTheSameRecipe()
    {
        const string Text = "method: qlora\nepochs: 3\nlearning_rate: 3e-4\npacking: false\ntrain_on: all\ntarget_modules: [q_proj, v_proj]\nrank: auto\nschedule: wsd\n";
        var reading = Assert.IsType<RecipeReading.Read>(RecipeFile.Parse(Text));

        Assert.Equal(reading.Recipe, Read(reading.Written.GetRawText()));
        Assert.Equal(Read(Text), reading.Recipe);
    }

    [Fact]
    public void Parse_RandomBytes_NeverThrows()
    {
        var random = new Random(5);
        var pieces = new[] { "rank", ": ", "\n", "{", "}", "[", "]", "\"", "auto", "1e9", "&a", "*a", "!!int", "|", ">", "- ", "\t", "é", "\0", "method" };
        for (var round = 0; round < 2000; round++)
            Assert.NotNull(RecipeFile.Parse(string.Concat(Enumerable.Range(0, random.Next(30)).Select(_ => pieces[random.Next(pieces.Length)]))));
    }

    [Fact]
    public void Schema_EachKeyOfTheTable_IsDescribed()
    {
        var properties = RecipeDocuments.Schema()["properties"]!.AsObject();

        Assert.Equal(RecipeDocuments.Table().Split('\n').Skip(2).Count(line => line.Length > 0), properties.Count);
        Assert.All(properties, property => Assert.NotEmpty(property.Value!["description"]!.GetValue<string>()));
        Assert.Equal("auto", properties["rank"]!["anyOf"]![0]!["const"]!.GetValue<string>());
    }

    private static Recipe Read(string text) => Assert.IsType<RecipeReading.Read>(RecipeFile.Parse(text)).Recipe;

    private static IReadOnlyList<string> Faults(string text) => Assert.IsType<RecipeReading.Invalid>(RecipeFile.Parse(text)).Errors;
}
