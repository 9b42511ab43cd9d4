// Which member of a study may start next?
// A pure list of states: no files, no peers. The study's root owns it and tells the groups.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace grokscope {

enum class MemberState { pending, running, checkpointed, done, failed, skipped };

/// "pending", "done": as study.h5 names it.
std::string name_of(MemberState state);

class MemberQueue {
 public:
  struct Entry {
    std::string name;
    std::vector<std::size_t> after;  ///< positions of members that must be done first; without cycles
  };

  explicit MemberQueue(std::vector<Entry> entries);

  /// Takes the first member whose predecessors are all done; nothing when there is none now.
  std::optional<std::size_t> take();

  /// Records how a member ended. What waits for a failed one is skipped, and what waits for that.
  void end(std::size_t member, MemberState state, const std::string& reason);

  /// True when nothing waits any more, so that a free group may go home.
  bool nothing_waits() const;

  MemberState state(std::size_t member) const { return places_[member].state; }
  const std::string& reason(std::size_t member) const { return places_[member].reason; }
  std::size_t size() const { return entries_.size(); }
  std::size_t count(MemberState state) const;

 private:
  struct Place {
    MemberState state = MemberState::pending;
    std::string reason;
  };

  std::vector<Entry> entries_;
  std::vector<Place> places_;
};

}  // namespace grokscope
