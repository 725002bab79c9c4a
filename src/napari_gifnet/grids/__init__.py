"""Where voxels lie: grids in the world, and the values of one grid on another."""
