// Exists so that one target owns the precompiled LibTorch header; see Room.cmake.
