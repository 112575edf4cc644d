#include <modelport/kernel.h>

#include <vector>

void echo(Context&, In<float> /*x*/, Out<double> output, int64_t whole, Span<int64_t> wholes, double real, bool flag,
          std::string_view text, Span<double> reals, Span<std::string_view> texts) {
  std::vector<double> numbers{static_cast<double>(whole)};
  for (const int64_t item : wholes) numbers.push_back(static_cast<double>(item));
  numbers.push_back(real);
  numbers.push_back(flag ? 1 : 0);
  const auto spell = [&numbers](std::string_view item) {
    numbers.push_back(static_cast<double>(item.size()));
    for (const char letter : item) numbers.push_back(static_cast<unsigned char>(letter));
  };
  spell(text);
  for (const std::string_view item : texts) spell(item);
  for (const double item : reals) numbers.push_back(item);
  double* to = output.alloc({static_cast<int64_t>(numbers.size())});
  for (const double item : numbers) *to++ = item;
}
