"""Sources and sinks: where frames come from and where they go."""
