using MudBlazor;

namespace ModelOps.Studio.Shell;

internal static class StudioTheme
{
    private static readonly string[] font = ["Inter", "system-ui", "sans-serif"];

    public static MudTheme Value { get; } = new()
    {
        PaletteLight = new PaletteLight
        {
            Primary = "#4338ca",
            Secondary = "#0f766e",
            Background = "#f8fafc",
            Surface = "#ffffff",
            AppbarBackground = "#ffffff",
            AppbarText = "#0f172a",
            DrawerBackground = "#ffffff",
            DrawerText = "#1e293b",
            DrawerIcon = "#475569",
            TextPrimary = "#0f172a",
            TextSecondary = "#475569",
            ActionDefault = "#475569",
            Divider = "#e2e8f0",
            LinesDefault = "#e2e8f0",
            LinesInputs = "#94a3b8",
            TableLines = "#e2e8f0",
            Error = "#b91c1c",
            Success = "#15803d",
            Warning = "#b45309",
            Info = "#0369a1",
        },
        PaletteDark = new PaletteDark
        {
            Primary = "#a5b4fc",
            PrimaryContrastText = "#1e1b4b",
            Secondary = "#5eead4",
            Background = "#0b1120",
            Surface = "#131c2e",
            AppbarBackground = "#0f172a",
            AppbarText = "#e2e8f0",
            DrawerBackground = "#0f172a",
            DrawerText = "#cbd5e1",
            DrawerIcon = "#94a3b8",
            TextPrimary = "#e2e8f0",
            TextSecondary = "#a3b1c6",
            ActionDefault = "#a3b1c6",
            Divider = "#263349",
            LinesDefault = "#263349",
            LinesInputs = "#64748b",
            TableLines = "#263349",
            Error = "#fca5a5",
            Success = "#86efac",
            Warning = "#fcd34d",
            Info = "#7dd3fc",
        },
        Typography = new Typography
        {
            Default = new DefaultTypography { FontFamily = font, FontSize = "0.9rem" },
            Button = new ButtonTypography { FontFamily = font, TextTransform = "none", FontWeight = "600", FontSize = "0.875rem" },
        },
        LayoutProperties = new LayoutProperties { DefaultBorderRadius = "8px", DrawerWidthLeft = "216px", AppbarHeight = "56px" },
    };
}
