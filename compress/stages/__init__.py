"""The stages of a run, each as a step that the store can skip: its key, its files, its result."""
