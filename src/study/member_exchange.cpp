#include "study/member_exchange.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/text.hpp"

namespace grokscope {
namespace {

constexpr const char* kAsk = "ask";
constexpr const char* kHome = "home";
constexpr const char* kBye =
    "bye";  // a leader's last letter: none of its earlier ones is on the way any more

/// Waiting leaders leave the processor to those that work.
void rest() {
  std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

std::string word(const std::string& text, std::size_t index) {
  return split(text, ' ').at(index);
}

/// What comes after the first `count` words.
std::string after_words(const std::string& text, int count) {
  std::size_t at = 0;
  for (int k = 0; k < count; ++k) at = text.find(' ', at) + 1;
  return text.substr(at);
}

}  // namespace

MemberExchange::MemberExchange(const Communicator& world, std::vector<int> leaders, MemberQueue& queue,
                               Observers observers, std::optional<double> max_time_s)
    : world_(world),
      leaders_(std::move(leaders)),
      queue_(queue),
      observers_(std::move(observers)),
      mailbox_(world),
      stop_(max_time_s) {
  if (is_root()) away_.insert(leaders_.begin() + 1, leaders_.end());
}

bool MemberExchange::is_leader() const {
  return std::find(leaders_.begin(), leaders_.end(), world_.rank()) != leaders_.end();
}

void MemberExchange::spread_stop(const std::string& reason) {
  if (!stop_reason_.empty()) return;
  stop_reason_ = reason;
  for (const int leader : away_) mailbox_.send(leader, "stop " + reason);
}

void MemberExchange::look() {
  while (const auto letter = mailbox_.receive()) handle(*letter);
  if (stop_reason_.empty() && stop_.wanted()) {
    if (is_root()) {
      spread_stop(stop_.reason());
    } else if (!told_root_) {
      told_root_ = true;
      mailbox_.send(0, "wish " + stop_.reason());
    }
  }
  if (is_root()) answer_waiting();
}

void MemberExchange::handle(const Letter& letter) {
  if (is_root()) return handle_as_root(letter);
  if (letter.text.starts_with("stop ")) {
    stop_reason_ = after_words(letter.text, 1);
  } else {
    answer_ = letter.text;
  }
}

void MemberExchange::handle_as_root(const Letter& letter) {
  const auto kind = word(letter.text, 0);
  if (kind == kAsk) {
    waiting_.insert(letter.from);
  } else if (kind == kBye) {
    leaving_.erase(letter.from);
  } else if (kind == "wish") {
    spread_stop(after_words(letter.text, 1));
  } else {
    const auto member = static_cast<std::size_t>(std::stoul(word(letter.text, 1)));
    const auto state = static_cast<MemberState>(std::stoi(word(letter.text, 2)));
    const auto code = static_cast<ExitCode>(std::stoi(word(letter.text, 3)));
    report({member, state, after_words(letter.text, 4), code});
  }
}

std::optional<std::size_t> MemberExchange::take() {
  const auto member = queue_.take();
  if (member) observers_.begins(*member);
  return member;
}

void MemberExchange::answer_waiting() {
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    std::optional<std::size_t> member;
    if (stop_reason_.empty()) member = take();
    const bool go_home = !member && (!stop_reason_.empty() || queue_.nothing_waits());
    if (!member && !go_home) return;  // something that runs must end first
    mailbox_.send(*it, member ? std::to_string(*member) : kHome);
    if (go_home) {
      away_.erase(*it);
      leaving_.insert(*it);
    }
    it = waiting_.erase(it);
  }
}

std::optional<std::size_t> MemberExchange::next() {
  if (is_root()) {
    while (true) {
      look();
      if (!stop_reason_.empty()) return std::nullopt;
      if (const auto member = take()) return member;
      if (queue_.nothing_waits()) return std::nullopt;
      rest();
    }
  }
  mailbox_.send(0, kAsk);
  answer_.reset();
  while (true) {
    look();
    if (answer_ == kHome) {
      mailbox_.send(0, kBye);
      return std::nullopt;
    }
    if (answer_) return static_cast<std::size_t>(std::stoul(*answer_));
    rest();
  }
}

void MemberExchange::report(const MemberOutcome& outcome) {
  if (!is_root()) {
    mailbox_.send(0, fmt::format("ended {} {} {} {}", outcome.member, static_cast<int>(outcome.state),
                                 static_cast<int>(outcome.code), outcome.reason));
    return;
  }
  queue_.end(outcome.member, outcome.state, outcome.reason);
  if (outcome.state == MemberState::checkpointed) spread_stop(outcome.reason);
  observers_.ended(outcome);
}

std::string MemberExchange::why_stop() {
  if (!is_leader()) return "";
  look();
  return stop_reason_;
}

std::string MemberExchange::finish() {
  while (is_root() && !(away_.empty() && leaving_.empty())) {
    look();
    rest();
  }
  stop_reason_ = world_.broadcast_text(stop_reason_);
  mailbox_.close();
  return stop_reason_;
}

}  // namespace grokscope
