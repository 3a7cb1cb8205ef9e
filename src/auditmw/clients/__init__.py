"""Where each SDK's calls are hooked, one SDK a file."""
