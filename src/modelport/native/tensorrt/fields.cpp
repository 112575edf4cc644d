#include "fields.h"

#include <cstdio>
#include <cstring>

namespace modelport::trt {

using nvinfer1::PluginField;
using nvinfer1::PluginFieldType;

namespace {

template <class From, class To>
std::vector<To> copied(const PluginField& field) {
  std::vector<To> values;
  for (int32_t i = 0; i < field.length; ++i) {
    From value;
    std::memcpy(&value, static_cast<const char*>(field.data) + static_cast<size_t>(i) * sizeof value, sizeof value);
    values.push_back(static_cast<To>(value));
  }
  return values;
}

[[noreturn]] void refuse(const PluginField& field, const char* wanted) {
  throw Error(std::string("the field '") + field.name + "' is not " + wanted);
}

std::vector<int64_t> integers(const PluginField& field) {
  switch (field.type) {
    case PluginFieldType::kINT8: return copied<int8_t, int64_t>(field);
    case PluginFieldType::kINT16: return copied<int16_t, int64_t>(field);
    case PluginFieldType::kINT32: return copied<int32_t, int64_t>(field);
    case PluginFieldType::kINT64: return copied<int64_t, int64_t>(field);
    default: refuse(field, "of integers");
  }
}

std::vector<double> reals(const PluginField& field) {
  if (field.type == PluginFieldType::kFLOAT32) return copied<float, double>(field);
  if (field.type == PluginFieldType::kFLOAT64) return copied<double, double>(field);
  const std::vector<int64_t> whole = integers(field);
  return {whole.begin(), whole.end()};
}

std::string text_of(const PluginField& field) {
  if (field.type != PluginFieldType::kCHAR) refuse(field, "a text");
  std::string text(static_cast<const char*>(field.data), static_cast<size_t>(field.length));
  while (!text.empty() && text.back() == '\0') text.pop_back();  // some count the end, some do not
  return text;
}

template <class T>
T single(const PluginField& field, const std::vector<T>& values) {
  if (values.size() != 1) refuse(field, "a single number");
  return values[0];
}

template <class T>
std::string raw(const T* values, size_t count) {
  return {reinterpret_cast<const char*>(values), count * sizeof(T)};
}

// All digits: what differs must not look the same.
std::string exact(double value) {
  char digits[32];
  std::snprintf(digits, sizeof digits, "%.17g", value);
  return digits;
}
std::string exact(int64_t value) { return text(value); }
std::string exact(std::string_view value) { return text(value); }

template <class Items>
std::string listed(const Items& items) {
  std::string out;
  for (const auto& item : items) out += (out.empty() ? "" : ", ") + exact(item);
  return "[" + out + "]";
}

PluginFieldType type_of(Kind kind) {
  switch (kind) {
    case Kind::real:
    case Kind::reals: return PluginFieldType::kFLOAT64;
    case Kind::string:
    case Kind::strings: return PluginFieldType::kCHAR;
    default: return PluginFieldType::kINT64;
  }
}

}  // namespace

Values::Values(const OperatorInfo& op, const nvinfer1::PluginFieldCollection* fields) : op_(op), attributes_(op) {
  std::vector<bool> given(op.attributes.size());
  for (int32_t i = 0; fields && i < fields->nbFields; ++i) {
    const PluginField& field = fields->fields[i];
    check(field.name && (field.data || !field.length), "a field has no name, or no data");
    if (std::string_view(field.name) == inputs_field) {
      places_ = integers(field);
      for (const int64_t place : places_) check(place >= 0, inputs_field, " has the place ", place);
      all_inputs_ = false;
      continue;
    }
    size_t place = 0;
    while (place < op.attributes.size() && std::string_view(op.attributes[place].name) != field.name) ++place;
    check(place < op.attributes.size(), "there is no attribute '", field.name, "'");
    read(place, field);
    given[place] = true;
  }
  for (size_t place = 0; place < given.size(); ++place)
    check(given[place] || !op.attributes[place].required, "the attribute '", op.attributes[place].name, "' is missing");
  serialize();
}

void Values::read(size_t attribute, const PluginField& field) {
  switch (op_.attributes[attribute].kind) {
    case Kind::integer: return attributes_.set(attribute, single(field, integers(field)));
    case Kind::boolean: return attributes_.set(attribute, int64_t{single(field, integers(field)) != 0});
    case Kind::real: return attributes_.set(attribute, single(field, reals(field)));
    case Kind::string: return attributes_.set(attribute, text_of(field));
    case Kind::strings: return attributes_.set_strings(attribute, text_of(field));
    case Kind::integers: return attributes_.set(attribute, integers(field));
    case Kind::reals: return attributes_.set(attribute, reals(field));
    case Kind::none: break;
  }
}

void Values::serialize() {
  for (size_t place = 0; place < op_.attributes.size(); ++place) {
    const Attribute& value = attributes_.data()[place];
    const AttributeInfo& declared = op_.attributes[place];
    size_t count = 1;
    std::string bytes, shown;
    switch (declared.kind) {
      case Kind::real: bytes = raw(&value.real, 1), shown = exact(value.real); break;
      case Kind::string: bytes = value.string, shown = bytes, count = bytes.size(); break;
      case Kind::integers:
        bytes = raw(value.integers.first, count = value.integers.size()), shown = listed(value.integers);
        break;
      case Kind::reals: bytes = raw(value.reals.first, count = value.reals.size()), shown = listed(value.reals); break;
      case Kind::strings:
        for (const std::string_view item : value.strings) bytes += std::string(item) + '\x1f';
        shown = listed(value.strings), count = bytes.size();
        break;
      default: bytes = raw(&value.integer, 1), shown = text(value.integer); break;
    }
    bytes_.push_back(std::move(bytes));
    fields_.emplace_back(declared.name, bytes_.back().data(), type_of(declared.kind), static_cast<int32_t>(count));
    summary_ += (summary_.empty() ? "" : " ") + std::string(declared.name) + "=" + shown;
  }
  if (!all_inputs_) {
    fields_.emplace_back(inputs_field, places_.data(), PluginFieldType::kINT64, static_cast<int32_t>(places_.size()));
    summary_ += (summary_.empty() ? "" : " ") + std::string(inputs_field) + "=" + listed(places_);
  }
  collection_ = {static_cast<int32_t>(fields_.size()), fields_.data()};
}

size_t Values::place(size_t input) const { return all_inputs_ ? input : static_cast<size_t>(places_[input]); }

void Values::check_count(size_t inputs) const {
  check(all_inputs_ || places_.size() == inputs, "the plugin has ", inputs, " inputs, ", inputs_field, " speaks of ",
        places_.size());
}

std::vector<PluginField> field_names(const OperatorInfo& op) {
  std::vector<PluginField> names;
  for (const AttributeInfo& attribute : op.attributes)
    names.emplace_back(attribute.name, nullptr, type_of(attribute.kind), 1);
  names.emplace_back(inputs_field, nullptr, PluginFieldType::kINT64, 1);
  return names;
}

}  // namespace modelport::trt
