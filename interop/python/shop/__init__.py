"""The example service's exceptions, in a module that clients allow and one that they do not."""
