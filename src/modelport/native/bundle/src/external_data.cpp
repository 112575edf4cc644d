#include "external_data.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <vector>

#include "error.h"

namespace modelport::runtime {
namespace {

constexpr int max_depth_of_messages = 100;  // protobuf itself reads no deeper

enum Kind { model, training, graph, function, node, attribute, sparse, tensor, entry };

// Field numbers of onnx.proto: which messages hold tensors, by what a message is.
const std::map<uint64_t, Kind>& inner_of(Kind kind) {
  static const std::map<Kind, std::map<uint64_t, Kind>> all{
      {model, {{7, graph}, {20, training}, {25, function}}},
      {training, {{1, graph}, {2, graph}}},
      {graph, {{1, node}, {5, tensor}, {15, sparse}}},
      {function, {{7, node}, {11, attribute}}},
      {node, {{5, attribute}}},
      {attribute, {{5, tensor}, {6, graph}, {10, tensor}, {11, graph}, {22, sparse}, {23, sparse}}},
      {sparse, {{1, tensor}, {2, tensor}}},
      {tensor, {{13, entry}}},
      {entry, {}}};
  return all.at(kind);
}

struct Field {
  uint64_t number;
  const unsigned char* begin;
  const unsigned char* end;
};

class Unreadable {};

uint64_t varint(const unsigned char*& place, const unsigned char* end) {
  uint64_t value = 0;
  for (int shift = 0; place < end && shift < 70; shift += 7) {
    const unsigned char byte = *place++;
    if (shift < 64) value |= uint64_t{byte & 127u} << shift;
    if (byte < 128) return value;
  }
  throw Unreadable();
}

// The next field of a message that has a length. False at the end.
bool next_field(const unsigned char*& place, const unsigned char* end, Field& field) {
  while (place < end) {
    const uint64_t key = varint(place, end), wire = key & 7;
    uint64_t length = wire == 1 ? 8 : 4;
    if (wire == 0) {
      varint(place, end);
      continue;
    }
    if (wire == 2) length = varint(place, end);
    else if (wire != 1 && wire != 5) throw Unreadable();
    if (length > static_cast<uint64_t>(end - place)) throw Unreadable();
    field = {key >> 3, place, place + length};
    place += length;
    if (wire == 2) return true;
  }
  return false;
}

struct Message {
  Kind kind;
  const unsigned char* begin;
  const unsigned char* end;
  int depth;
};

std::vector<std::string> locations(const unsigned char* data, size_t size) {
  std::vector<std::string> found;
  std::vector<Message> left{{model, data, data + size, 0}};
  while (!left.empty()) {
    const Message message = left.back();
    left.pop_back();
    if (message.depth > max_depth_of_messages) throw Unreadable();
    const auto& inner = inner_of(message.kind);
    std::string key, value;
    Field field{};
    for (const unsigned char* place = message.begin; next_field(place, message.end, field);) {
      const auto kind = inner.find(field.number);
      if (kind != inner.end()) left.push_back({kind->second, field.begin, field.end, message.depth + 1});
      else if (message.kind == entry && field.number == 1) key.assign(field.begin, field.end);
      else if (message.kind == entry && field.number == 2) value.assign(field.begin, field.end);
    }
    if (key == "location") found.push_back(value);
  }
  return found;
}

// A file in memory.
class Mapping {
 public:
  explicit Mapping(const Descriptor& file) {
    struct stat status{};
    if (!file || fstat(file.get(), &status) != 0) return;
    size_ = static_cast<size_t>(status.st_size);
    if (!size_) return;
    void* made = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.get(), 0);
    data_ = made == MAP_FAILED ? nullptr : static_cast<const unsigned char*>(made);
  }
  ~Mapping() {
    if (data_) munmap(const_cast<unsigned char*>(data_), size_);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  const unsigned char* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  const unsigned char* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace

void require_external_data(const Bundle& bundle, const std::string& graph_path) {
  const Descriptor file = open_beneath(bundle.folder, graph_path);
  const Mapping mapped(file);
  if (!file || (mapped.size() && !mapped.data()))
    throw bundle_error(graph_path + " cannot be read", {bundle.where, std::strerror(errno), {}});
  // The key of an entry is written out; a graph without it names no file.
  if (!mapped.size() || !memmem(mapped.data(), mapped.size(), "location", 8)) return;
  std::vector<std::string> named;
  try {
    named = locations(mapped.data(), mapped.size());
  } catch (const Unreadable&) {
    throw build_error(graph_path + " is not a readable ONNX model",
                      {bundle.where, {}, "`modelport check` says what is wrong with a graph"});
  }
  const size_t end = graph_path.rfind('/');
  const std::string folder = end == std::string::npos ? "" : graph_path.substr(0, end + 1);
  for (std::string name : named) {
    if (name.compare(0, 2, "./") == 0) name.erase(0, 2);
    if (!is_inside(name) || !bundle.manifest.files.count(folder + name))
      throw build_error(graph_path + " refers to data outside of its folder: " + quoted(name.substr(0, 80)),
                        {bundle.where, "a model from elsewhere could read any file of this machine in this way",
                         "put the data beside the model, and name it by its path from there"});
  }
}

}  // namespace modelport::runtime
