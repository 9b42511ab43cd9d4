// How do numbers and names read to a person?
// Used wherever a message is written. Pure functions.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace grokscope {

/// Returns the candidate nearest to `word` (Damerau-Levenshtein), or "" when none is near enough to be a typo of it.
std::string nearest_word(std::string_view word, std::span<const std::string> candidates);

/// Formats a size in bytes: "117.4 MB" (powers of ten, as disks are sold and h5ls prints).
std::string format_bytes(double bytes);

/// Formats a duration: "1.7 s", "3 min 20 s", "2 h 05 min".
std::string format_duration(double seconds);

/// Parses "90", "90s", "15m", "2h", "1d", "HH:MM:SS" or Slurm's "D-HH:MM:SS" into seconds; throws UserError.
double parse_duration(std::string_view text);

std::string join(std::span<const std::string> words, std::string_view separator);

std::vector<std::string> split(std::string_view text, char separator);

std::string_view trim(std::string_view text);

}  // namespace grokscope
