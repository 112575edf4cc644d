// Where the clouds of points, and of queries, begin and end.
#pragma once

#include <modelport/kernel.h>

#include <vector>

namespace {

struct Cloud {
  int64_t begin, end, query_begin, query_end;
};

template <class Ends>
void check_ends(const char* name, const Ends& ends, int64_t count) {
  int64_t before = 0;
  for (int64_t i = 0; i < ends.size(); ++i) {
    check(ends[i] >= before, name, "[", i, "] is ", ends[i], ", after ", before, ": it says where each cloud ends");
    before = ends[i];
  }
  check(before == count, name, " ends at ", before, "; there are ", count, " points");
}

// Takes the inputs of the operator, for either device, and checks them.
template <class Points, class Ends, class Queries, class QueryEnds>
std::vector<Cloud> clouds_of(const Points& xyz, const Ends& offset, const Queries& new_xyz, const QueryEnds& new_offset,
                             int64_t nsample) {
  check(nsample >= 1, "nsample is ", nsample, "; it must be 1 or more");
  check(xyz.dim(1) == 3, "the points are [n, 3]; they have ", xyz.shape());
  check(bool(new_xyz) == bool(new_offset), "new_xyz and new_offset are given both, or neither");
  check(!new_xyz || new_xyz.dim(1) == 3, "the queries are [m, 3]; they have ", new_xyz.shape());
  check(xyz.dim(0) < (int64_t{1} << 31), "there are too many points for int32: ", xyz.dim(0));
  check_ends("offset", offset, xyz.dim(0));
  if (new_xyz) check_ends("new_offset", new_offset, new_xyz.dim(0));
  check(!new_xyz || new_offset.size() == offset.size(), "offset has ", offset.size(), " clouds, new_offset has ",
        new_offset.size());
  std::vector<Cloud> clouds;
  int64_t begin = 0, query_begin = 0;
  for (int64_t i = 0; i < offset.size(); ++i) {
    const int64_t end = offset[i], query_end = new_xyz ? new_offset[i] : end;
    clouds.push_back({begin, end, query_begin, query_end});
    begin = end, query_begin = query_end;
  }
  return clouds;
}

}  // namespace
