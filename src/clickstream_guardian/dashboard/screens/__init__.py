"""One page a file: each draws itself anew whenever its numbers may have moved."""
