// A task as a configuration would make it: its keys set, data and model built, on one process.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <sstream>
#include <string>

#include "train/task.hpp"

namespace grokscope {

inline Node yaml_value(const std::string& text) {
  if (!text.starts_with('[')) return Node::plain(text);
  auto list = Node::list();
  std::istringstream items(text.substr(1, text.size() - 2));
  for (std::string item; std::getline(items, item, ',');)
    list.items.push_back(Node::plain(item.substr(item.find_first_not_of(' '))));
  return list;
}

/// A task with its keys set and nothing built. `keys`: section and key, and the value, a scalar or a list of
/// numbers, as YAML has it: {"data.p", "11"}.
inline std::unique_ptr<Task> unbuilt_task_with(const Experiment& experiment,
                                               const std::map<std::string, std::string>& keys) {
  auto task = experiment.make();
  Schemas schemas;
  task->declare(schemas);
  Reading reading;
  for (const auto& [path, value] : keys) {
    const auto dot = path.find('.');
    const auto* key = schemas.find(path.substr(0, dot))->find(path.substr(dot + 1));
    if (key == nullptr) {
      ADD_FAILURE() << path << " is no key";
      continue;
    }
    key->read(yaml_value(value), path, reading);
  }
  for (const auto& problem : reading.problems.all()) ADD_FAILURE() << problem.text();
  return task;
}

inline std::unique_ptr<Task> task_with(const Experiment& experiment,
                                       const std::map<std::string, std::string>& keys,
                                       const TrainingOptions& training = {}) {
  auto task = unbuilt_task_with(experiment, keys);
  task->build_data(training);
  task->build_model(training);
  task->note_start();
  return task;
}

}  // namespace grokscope
