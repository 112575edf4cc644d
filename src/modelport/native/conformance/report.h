// What the host says, a fact a line, and what it makes of what plugins say.
#pragma once

#include <iostream>
#include <stdexcept>
#include <string>

// What plugins logged since it was cleared.
inline std::string logged;

// What the contract of plugins demands.
inline void demand(bool holds, const std::string& what) {
  if (holds) return;
  const std::string said = logged.empty() ? "" : ": " + logged;
  throw std::runtime_error(what + said);
}

template <class... Parts>
void say(const char* word, const Parts&... parts) {
  std::cout << word;
  ((std::cout << ' ' << parts), ...);
  std::cout << '\n';
}
