"""The entry for Hugging Face Spaces and `python app.py`: the page over a session service."""

from mgdemo.folders import gradio_folder

gradio_folder()  # before Gradio is imported

from mgdemo import ui  # noqa: E402

demo = ui.build()

if __name__ == "__main__":
    ui.launch(demo)
