// How do groups of ranks that train different members share one queue?
// Each group has a leader; the study's root, which leads the first group, owns the queue. Leaders ask it by
// letters, and it answers whenever it looks: between members, and inside them through why_stop(). A wish to
// stop goes the same way to all.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>

#include "comm/mailbox.hpp"
#include "comm/stop.hpp"
#include "study/member_queue.hpp"

namespace grokscope {

struct MemberOutcome {
  std::size_t member = 0;
  MemberState state = MemberState::done;
  std::string reason;
  ExitCode code = ExitCode::done;
};

class MemberExchange {
 public:
  /// What the root is told of every member, its own and the others'. Letters wait meanwhile.
  struct Observers {
    std::function<void(std::size_t member)> begins;
    std::function<void(const MemberOutcome&)> ended;
  };

  /// `leaders`: world ranks that lead groups, the root 0 first. `queue` is the root's. `max_time_s` counts
  /// from here. Collective over world.
  MemberExchange(const Communicator& world, std::vector<int> leaders, MemberQueue& queue, Observers observers,
                 std::optional<double> max_time_s);

  /// Waits until there is a member for this leader's group; nothing when the group may go home. Local to
  /// leaders.
  std::optional<std::size_t> next();

  /// Tells the root how a member of this group ended. Local to leaders.
  void report(const MemberOutcome& outcome);

  /// Why some group wants to stop, "" when none does. Does the root's and the leader's letters meanwhile, so
  /// that it must be called often. Local; on ranks that lead nothing always "".
  std::string why_stop();

  /// Goes on answering until every group is home, then closes. Returns why the study stops, "" when it does
  /// not. Collective over world.
  std::string finish();

 private:
  bool is_root() const { return world_.is_root(); }
  bool is_leader() const;
  void handle(const Letter& letter);
  void handle_as_root(const Letter& letter);
  void answer_waiting();
  std::optional<std::size_t> take();
  void spread_stop(const std::string& reason);
  void look();

  const Communicator& world_;
  std::vector<int> leaders_;
  MemberQueue& queue_;
  Observers observers_;
  Mailbox mailbox_;
  StopFlag stop_;
  std::string stop_reason_;  ///< not empty: this rank knows that all stop
  std::set<int> waiting_;    ///< the root's: leaders that asked and have no answer
  std::set<int> away_;       ///< the root's: other leaders that have not been sent home
  std::set<int> leaving_;    ///< the root's: leaders that have been, and have not said their last word
  std::optional<std::string> answer_;  ///< a leader's: what the root said to its question
  bool told_root_ = false;
};

}  // namespace grokscope
