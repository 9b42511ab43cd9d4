// What does the user ask for? Turns argv into one of the commands of formats.md.
#pragma once

#include "run/configuration.hpp"

namespace grokscope {

/// Runs the command and returns the exit code. Starts MPI only for commands that compute; ends every rank when one of them
/// alone fails.
int run_command_line(int argc, char** argv, Experiments experiments);

}  // namespace grokscope
