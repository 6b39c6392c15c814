"""WBench, a public benchmark of world models: its cases as scenarios, our films as its results."""
