// Attribute values that own what they point to.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "library.h"

namespace modelport {

class Attributes {
 public:
  explicit Attributes(const OperatorInfo& op) {
    for (const AttributeInfo& attribute : op.attributes) values_.push_back(attribute.value);
  }
  // No copies: the values point into this object.
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;

  const Attribute* data() const { return values_.data(); }

  void set(size_t index, int64_t value) { at(index).integer = value; }
  void set(size_t index, double value) { at(index).real = value; }
  void set(size_t index, std::string value) {
    texts_.push_back(std::move(value));
    at(index).string = texts_.back();
  }
  void set(size_t index, std::vector<int64_t> value) {
    integers_.push_back(std::move(value));
    at(index).integers = {integers_.back().data(), integers_.back().size()};
  }
  void set(size_t index, std::vector<double> value) {
    reals_.push_back(std::move(value));
    at(index).reals = {reals_.back().data(), reals_.back().size()};
  }
  // A list of texts travels as one, its parts each ended by the unit separator of ASCII.
  void set_strings(size_t index, const std::string& joined) {
    texts_.push_back(joined);
    const std::string_view all = texts_.back();
    std::vector<std::string_view> parts;
    for (size_t begin = 0, end; (end = all.find('\x1f', begin)) != all.npos; begin = end + 1)
      parts.push_back(all.substr(begin, end - begin));
    parts_.push_back(std::move(parts));
    at(index).strings = {parts_.back().data(), parts_.back().size()};
  }

 private:
  Attribute& at(size_t index) {
    check(index < values_.size(), "there is no attribute ", index);
    return values_[index];
  }

  std::vector<Attribute> values_;
  std::deque<std::string> texts_;
  std::deque<std::vector<int64_t>> integers_;
  std::deque<std::vector<double>> reals_;
  std::deque<std::vector<std::string_view>> parts_;
};

}  // namespace modelport
