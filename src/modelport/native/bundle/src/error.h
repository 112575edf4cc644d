// The errors of the library: the same tree, and the same words, as in Python.
#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "modelport/modelport.h"

namespace modelport::runtime {

struct Details {
  std::string where, why, fix;
};

class Error : public std::exception {
 public:
  Error(modelport_error_kind kind, std::string what, Details details = {});
  const char* what() const noexcept override { return text.c_str(); }

  modelport_error_kind kind;
  std::string happened;
  Details details;
  std::string text;
};

// Each kind is a function that makes the error, to be thrown: `throw run_error(...)`.
Error usage_error(std::string what, Details details = {});
Error operator_error(std::string what, Details details = {});
Error build_error(std::string what, Details details = {});
Error run_error(std::string what, Details details = {});
Error bundle_error(std::string what, Details details = {});

// What is being handled, as an error; for use in a handler alone. Without memory it says only that.
Error handled() noexcept;

// Text as Python's repr() writes it.
std::string quoted(const std::string& text);
std::string joined(const std::vector<std::string>& parts, const char* between = ", ");
// All white space as single blanks.
std::string one_line(const std::string& text);
// A number with commas between its thousands.
std::string grouped(uint64_t number);
// A shape as a list, such as [1, 3, 224, 224].
std::string listed(const int64_t* sizes, size_t rank);

}  // namespace modelport::runtime
