#include "strict_json.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <vector>

namespace modelport::runtime {
namespace {

using nlohmann::json;
using Wrong = std::invalid_argument;

// Counts what is nested, and values, before anything is made of them.
void require_small(const std::string& data) {
  int64_t depth = 0;
  size_t values = 0;
  bool in_text = false;
  for (size_t i = 0; i < data.size(); ++i) {
    const char c = data[i];
    if (in_text) {
      if (c == '\\') ++i;
      else if (c == '"') in_text = false;
      continue;
    }
    if (c == '"') in_text = true;
    if (c == '[' || c == '{') ++depth;
    if (c == ']' || c == '}') --depth;
    if (c == '[' || c == '{' || c == ',' || c == ':') ++values;
    if (depth > static_cast<int64_t>(max_depth))
      throw Wrong("it is nested more than " + std::to_string(max_depth) + " deep");
    if (values > max_values) throw Wrong("it has more than " + std::to_string(max_values) + " values");
  }
}

// Builds the value without looking back at what is there already, as the callbacks of
// `json::parse` do.
class Builder final : public nlohmann::json_sax<json> {
 public:
  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return value == 0 ? add(number_unsigned_t{0}) : add(value); }
  bool number_unsigned(number_unsigned_t value) override {
    if (value > INT64_MAX) throw Wrong("64 bits do not hold the number " + std::to_string(value));
    return add(value);
  }
  bool number_float(number_float_t value, const string_t& text) override {
    if (!std::isfinite(value) || text.find_first_of(".eE") == std::string::npos)
      throw Wrong("64 bits do not hold the number " + text.substr(0, 30));
    return add(value);
  }
  bool string(string_t& value) override {
    require_text(value);
    return add(std::move(value));
  }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return open(json::object()); }
  bool start_array(std::size_t) override { return open(json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    require_text(name);
    const auto [place, is_new] = open_.back()->get_ref<json::object_t&>().emplace(name, nullptr);
    if (!is_new) throw Wrong("a name is twice in an object");
    member_ = &place->second;
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    // Its own words repeat bytes of the file, which may be no text.
    throw Wrong("it is no JSON, at byte " + std::to_string(position));
  }

  json result;

 private:
  static void require_text(const std::string& text) {
    if (!is_text(text)) throw Wrong("a text has a control character");
  }
  template <class Value>
  json* put(Value&& value) {
    json* place = &result;
    if (!open_.empty() && open_.back()->is_array()) {
      open_.back()->push_back(std::forward<Value>(value));
      return &open_.back()->back();
    }
    if (!open_.empty()) place = member_;
    *place = std::forward<Value>(value);
    return place;
  }
  template <class Value>
  bool add(Value&& value) {
    put(std::forward<Value>(value));
    return true;
  }
  bool open(json value) {
    open_.push_back(put(std::move(value)));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  std::vector<json*> open_;  // a list that is open does not grow while one inside of it is
  json* member_ = nullptr;
};

}  // namespace

json read_json(const std::string& data) {
  if (data.compare(0, 3, "\xef\xbb\xbf") == 0) throw Wrong("it begins with a byte order mark");
  require_small(data);
  Builder builder;
  if (!json::sax_parse(data, &builder)) throw Wrong("it is no JSON");
  return std::move(builder.result);
}

bool is_text(const std::string& text) {
  const auto byte = [&](size_t at) { return at < text.size() ? static_cast<unsigned char>(text[at]) : 0u; };
  for (size_t i = 0; i < text.size(); ++i) {
    const unsigned c = byte(i), second = byte(i + 1), third = byte(i + 2);
    if ((c < 0x20 && c != '\t' && c != '\n') || c == 0x7f) return false;
    if (c == 0xc2 && second < 0xa0) return false;  // U+0080..U+009F
    if (c == 0xe2 && second == 0x80 && third >= 0xa8 && third <= 0xae) return false;  // U+2028..U+202E
    if (c == 0xe2 && second == 0x81 && third >= 0xa6 && third <= 0xa9) return false;  // U+2066..U+2069
  }
  return true;
}

}  // namespace modelport::runtime
