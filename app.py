"""The entry for Hugging Face Spaces and `python app.py`: the page over a play service."""

from mgdemo import ui

demo = ui.build()

if __name__ == "__main__":
    ui.launch(demo)
