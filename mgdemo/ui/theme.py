"""The look of the page: one theme for light and dark, and the page's own style sheet."""

from __future__ import annotations

from pathlib import Path

from gradio import themes

CSS = Path(__file__).with_name("page.css")

# Fonts of the visitor's own system: nothing is fetched from anywhere.
_SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Noto Sans", "sans-serif")
_MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")


def theme() -> themes.Base:
    """Quiet grays with one green for what can be pressed or is held."""
    return themes.Base(
        primary_hue=themes.colors.emerald,
        neutral_hue=themes.colors.zinc,
        radius_size=themes.sizes.radius_md,
        spacing_size=themes.sizes.spacing_md,
        text_size=themes.sizes.text_md,
        font=_SANS,
        font_mono=_MONO,
    ).set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        body_text_color_subdued="*neutral_500",
        body_text_color_subdued_dark="*neutral_400",
        block_border_width="0px",
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        block_shadow="none",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        block_label_text_color="*body_text_color_subdued",
        block_label_border_width="0px",
        block_title_text_weight="500",
        block_title_text_size="*text_sm",
        block_title_text_color="*body_text_color_subdued",
        block_title_text_color_dark="*body_text_color_subdued",
        block_padding="0px",
        form_gap_width="0px",
        border_color_primary="*neutral_200",
        border_color_primary_dark="*neutral_800",
        input_background_fill="white",
        input_background_fill_dark="*neutral_900",
        input_border_width="1px",
        input_border_color_focus="*primary_600",
        input_border_color_focus_dark="*primary_600",
        link_text_color="*primary_700",
        link_text_color_dark="*primary_400",
        color_accent="*primary_600",
        color_accent_soft_dark="*primary_950",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_600",
        button_primary_text_color="white",
        button_secondary_background_fill="white",
        button_secondary_background_fill_hover="*neutral_100",
        button_secondary_background_fill_dark="*neutral_900",
        button_secondary_background_fill_hover_dark="*neutral_800",
        button_secondary_border_color="*neutral_200",
        button_secondary_border_color_dark="*neutral_800",
        button_border_width="1px",
    )
