"""An index over the routes: one among many is found as fast as among few."""
