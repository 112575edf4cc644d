#include "error.h"

#include <cstdio>
#include <new>

namespace modelport::runtime {

Error::Error(modelport_error_kind kind_of, std::string what, Details more)
    : kind(kind_of), happened(std::move(what)), details(std::move(more)), text(happened) {
  if (!details.where.empty()) text += "\n  where: " + details.where;
  if (!details.why.empty()) text += "\n  why: " + details.why;
  if (!details.fix.empty()) text += "\n  fix: " + details.fix;
}

Error usage_error(std::string what, Details details) {
  return {MODELPORT_USAGE_ERROR, std::move(what), std::move(details)};
}
Error operator_error(std::string what, Details details) {
  return {MODELPORT_OPERATOR_ERROR, std::move(what), std::move(details)};
}
Error build_error(std::string what, Details details) {
  return {MODELPORT_BUILD_ERROR, std::move(what), std::move(details)};
}
Error run_error(std::string what, Details details) {
  return {MODELPORT_RUN_ERROR, std::move(what), std::move(details)};
}
Error bundle_error(std::string what, Details details) {
  return {MODELPORT_BUNDLE_ERROR, std::move(what), std::move(details)};
}

Error handled() noexcept {
  // These words are short enough to need no memory.
  constexpr const char* no_memory = "out of memory";
  try {
    try {
      throw;
    } catch (const Error& error) {
      return error;
    } catch (const std::bad_alloc&) {
      return run_error(no_memory);
    } catch (const std::exception& error) {
      return run_error("the runtime failed", {{}, error.what(), {}});
    } catch (...) {
      return run_error("the runtime failed", {{}, "something was thrown that is no std::exception", {}});
    }
  } catch (...) {
    return run_error(no_memory);
  }
}

std::string quoted(const std::string& text) {
  const bool double_quotes = text.find('\'') != std::string::npos && text.find('"') == std::string::npos;
  const char quote = double_quotes ? '"' : '\'';
  std::string result(1, quote);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    char code[8];
    if (c == quote || c == '\\') result += {'\\', c};
    else if (c == '\n') result += "\\n";
    else if (c == '\r') result += "\\r";
    else if (c == '\t') result += "\\t";
    else if (byte < 0x20 || byte == 0x7f) result += (std::snprintf(code, 8, "\\x%02x", byte), code);
    else result += c;
  }
  return result + quote;
}

std::string joined(const std::vector<std::string>& parts, const char* between) {
  std::string result;
  for (const std::string& part : parts) {
    if (&part != &parts.front()) result += between;
    result += part;
  }
  return result;
}

std::string one_line(const std::string& text) {
  std::string result;
  bool gap = false;
  for (const char c : text) {
    if (c == ' ' || (c >= '\t' && c <= '\r')) {
      gap = !result.empty();
    } else {
      if (gap) result += ' ';
      gap = false;
      result += c;
    }
  }
  return result;
}

std::string grouped(uint64_t number) {
  std::string digits = std::to_string(number);
  for (size_t end = digits.size(); end > 3; end -= 3) digits.insert(end - 3, ",");
  return digits;
}

std::string listed(const int64_t* sizes, size_t rank) {
  std::vector<std::string> parts;
  for (size_t axis = 0; axis < rank; ++axis) parts.push_back(std::to_string(sizes[axis]));
  return "[" + joined(parts) + "]";
}

}  // namespace modelport::runtime
