// Between kernels and runtimes: what a library knows about its operators and their kernels.
// Everything here is constant-initialised, so that no code of a kernel's file runs at loading:
// it may be compiled for a processor that this machine is not.
#pragma once

#include <new>

#include "modelport/kernel.h"

namespace modelport {

// What was thrown, in words; only for use in a handler, and valid until its end.
inline const char* what_was_thrown() noexcept {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    return "out of memory";
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "something was thrown that is no std::exception";
  }
}

enum class Role : int32_t { input, optional, list, output, attribute };
enum class Kind : int32_t { none, integer, real, boolean, string, integers, reals, strings };

// One parameter of a kernel, as its C++ type says.
struct Parameter {
  Role role;
  DataType dtype;  // of a tensor
  int32_t rank;    // of an input; -1 for any
  bool host;       // an input in the memory of the CPU, for any device
  Kind kind;       // of an attribute
};

// The value of an attribute; it points into memory of the runtime.
struct Attribute {
  int64_t integer = 0;
  double real = 0;
  std::string_view string;
  Span<int64_t> integers;
  Span<double> reals;
  Span<std::string_view> strings;
};

struct Kernel {
  const Parameter* parameters;
  size_t count;
  bool (*call)(Context&, const Attribute*);
};

// The kernels of one operator in one compiled file.
struct KernelTable {
  const Kernel* kernels;
  size_t count;
};

namespace detail {

template <class T>
struct ParameterOf {
  static_assert(sizeof(T) == 0,
                "a kernel's parameters are Context&, In<T>, Opt<T>, List<T>, HostIn<T>, "
                "HostOpt<T>, Out<T>, and int64_t, double, float, bool, std::string_view or a "
                "Span of int64_t, double, std::string_view");
};

constexpr Parameter tensor(Role role, DataType dtype, int rank, bool host) {
  return {role, dtype, rank, host, Kind::none};
}
constexpr Parameter attribute(Kind kind) { return {Role::attribute, DataType::none, -1, true, kind}; }

template <class T, int R> struct ParameterOf<In<T, R>> {
  static constexpr Parameter value = tensor(Role::input, TypeOf<T>::value, R, false);
};
template <class T, int R> struct ParameterOf<Opt<T, R>> {
  static constexpr Parameter value = tensor(Role::optional, TypeOf<T>::value, R, false);
};
template <class T, int R> struct ParameterOf<HostIn<T, R>> {
  static constexpr Parameter value = tensor(Role::input, TypeOf<T>::value, R, true);
};
template <class T, int R> struct ParameterOf<HostOpt<T, R>> {
  static constexpr Parameter value = tensor(Role::optional, TypeOf<T>::value, R, true);
};
template <class T, int R> struct ParameterOf<List<T, R>> {
  static constexpr Parameter value = tensor(Role::list, TypeOf<T>::value, R, false);
};
template <class T> struct ParameterOf<Out<T>> {
  static constexpr Parameter value = tensor(Role::output, TypeOf<T>::value, -1, false);
};
template <> struct ParameterOf<int64_t> {
  static constexpr Parameter value = attribute(Kind::integer);
  static int64_t get(const Attribute& from) { return from.integer; }
};
template <> struct ParameterOf<double> {
  static constexpr Parameter value = attribute(Kind::real);
  static double get(const Attribute& from) { return from.real; }
};
template <> struct ParameterOf<float> {
  static constexpr Parameter value = attribute(Kind::real);
  static float get(const Attribute& from) { return static_cast<float>(from.real); }
};
template <> struct ParameterOf<bool> {
  static constexpr Parameter value = attribute(Kind::boolean);
  static bool get(const Attribute& from) { return from.integer != 0; }
};
template <> struct ParameterOf<std::string_view> {
  static constexpr Parameter value = attribute(Kind::string);
  static std::string_view get(const Attribute& from) { return from.string; }
};
template <> struct ParameterOf<Span<int64_t>> {
  static constexpr Parameter value = attribute(Kind::integers);
  static Span<int64_t> get(const Attribute& from) { return from.integers; }
};
template <> struct ParameterOf<Span<double>> {
  static constexpr Parameter value = attribute(Kind::reals);
  static Span<double> get(const Attribute& from) { return from.reals; }
};
template <> struct ParameterOf<Span<std::string_view>> {
  static constexpr Parameter value = attribute(Kind::strings);
  static Span<std::string_view> get(const Attribute& from) { return from.strings; }
};

template <class T>
using Plain = std::remove_cv_t<std::remove_reference_t<T>>;

template <class... Parameters>
struct Signature {
  static constexpr size_t count = sizeof...(Parameters);
  // One longer, as an array of none is not C++.
  static constexpr Parameter parameters[count + 1] = {ParameterOf<Plain<Parameters>>::value..., Parameter{}};

  // The place of a parameter among those of its own sort.
  static constexpr size_t place(size_t index) {
    size_t before = 0;
    for (size_t i = 0; i < index; ++i) before += sort(parameters[i].role) == sort(parameters[index].role);
    return before;
  }

  static constexpr size_t outputs() {
    size_t found = 0;
    for (size_t i = 0; i < count; ++i) found += parameters[i].role == Role::output;
    return found;
  }

 private:
  static constexpr int sort(Role role) { return role == Role::output ? 1 : role == Role::attribute ? 2 : 0; }
};

template <class T>
decltype(auto) argument(Context& context, const Attribute* attributes, size_t place) {
  if constexpr (ParameterOf<T>::value.role == Role::attribute) {
    return ParameterOf<T>::get(attributes[place]);
  } else {
    (void)attributes;
    return T(context, place);
  }
}

template <auto Function, class Type>
struct Caller;

template <auto Function, class... Parameters>
struct Caller<Function, void (*)(Context&, Parameters...)> {
  using Types = Signature<Parameters...>;

  static bool call(Context& context, const Attribute* attributes) {
    try {
      run(context, attributes, std::index_sequence_for<Parameters...>());
      return true;
    } catch (...) {
      context.fail(what_was_thrown());
    }
    return false;
  }

 private:
  template <size_t... Index>
  static void run(Context& context, [[maybe_unused]] const Attribute* attributes, std::index_sequence<Index...>) {
    Function(context, argument<Plain<Parameters>>(context, attributes, Types::place(Index))...);
    check(context.allocated() == Types::outputs(), "the kernel allocated ", context.allocated(), " of its ",
          Types::outputs(), " outputs");
  }
};

}  // namespace detail

template <auto Function>
constexpr Kernel kernel() {
  using Caller = detail::Caller<Function, decltype(Function)>;
  return {Caller::Types::parameters, Caller::Types::count, &Caller::call};
}

}  // namespace modelport
