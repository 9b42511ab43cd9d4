#include "study/member_queue.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"

namespace grokscope {

std::string name_of(MemberState state) {
  switch (state) {
    case MemberState::pending:
      return "pending";
    case MemberState::running:
      return "running";
    case MemberState::checkpointed:
      return "checkpointed";
    case MemberState::done:
      return "done";
    case MemberState::failed:
      return "failed";
    case MemberState::skipped:
      return "skipped";
  }
  throw InternalError("unknown member state");
}

MemberQueue::MemberQueue(std::vector<Entry> entries)
    : entries_(std::move(entries)), places_(entries_.size()) {}

std::optional<std::size_t> MemberQueue::take() {
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const auto& after = entries_[i].after;
    const bool is_ready = std::all_of(after.begin(), after.end(),
                                      [&](std::size_t k) { return places_[k].state == MemberState::done; });
    if (places_[i].state != MemberState::pending || !is_ready) continue;
    places_[i].state = MemberState::running;
    return i;
  }
  return std::nullopt;
}

void MemberQueue::end(std::size_t member, MemberState state, const std::string& reason) {
  places_[member] = {state, reason};
  if (state != MemberState::failed && state != MemberState::skipped) return;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const auto& after = entries_[i].after;
    const bool waits = places_[i].state == MemberState::pending &&
                       std::find(after.begin(), after.end(), member) != after.end();
    if (waits)
      end(i, MemberState::skipped,
          fmt::format("it comes after {}, which {}", entries_[member].name,
                      state == MemberState::failed ? "failed" : "was skipped"));
  }
}

bool MemberQueue::nothing_waits() const {
  return count(MemberState::pending) == 0;
}

std::size_t MemberQueue::count(MemberState state) const {
  return static_cast<std::size_t>(std::count_if(places_.begin(), places_.end(),
                                                [&](const Place& place) { return place.state == state; }));
}

}  // namespace grokscope
