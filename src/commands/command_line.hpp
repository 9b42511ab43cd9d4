// What does the user ask for? Turns argv into one of the commands of formats.md.
#pragma once

#include <exception>

#include "run/configuration.hpp"

namespace grokscope {

/// Runs the command and returns the exit code. Starts MPI only for commands that compute; ends every rank when one of them
/// alone fails. Throws nothing.
int run_command_line(int argc, char** argv, Experiments experiments);

/// Says what ended the program, in one line on stderr; returns the exit code. Local.
int report_failure(const std::exception& error);

}  // namespace grokscope
