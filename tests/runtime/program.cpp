// What the tests drive: commands from stdin, one a line; each is answered by one line, `ok ...` or
// `error KIND TEXT` with the line feeds of the text as \n.
//
//     load PATH [target=T] [threads=N] [graph_optimization=L] [key=FILE] [trust=1]
//     input NAME DTYPE SHAPE FILE      DTYPE by ONNX's number, SHAPE as 1x3x4 or -, strings by zeros
//     clear                            forgets the inputs
//     run FOLDER [OUTPUT ...]          writes FOLDER/INDEX
//     specs                            what the engine takes and gives
//     together THREADS RUNS            many threads run; all must have the first run's bytes
//     submit THREADS REQUESTS BATCH DELAY   random rows of the one input [n, k]; answers are compared
//                                      with those of runs of their own
//     answer BATCH DELAY               the inputs as one request
//     poison REQUESTS BATCH DELAY      rows of x [n, 3] and indices i [n]; each fourth index is wrong

#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <modelport/modelport.hpp>
#include <random>
#include <sstream>
#include <thread>

namespace {

using modelport::Engine;
using modelport::Input;
using modelport::Output;
using modelport::Outputs;
using Words = std::vector<std::string>;

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

modelport::Shape parse_shape(const std::string& text) {
  modelport::Shape shape;
  std::istringstream stream(text == "-" ? "" : text);
  for (std::string size; std::getline(stream, size, 'x');) shape.push_back(std::stoll(size));
  return shape;
}

std::string shape_text(const modelport::Shape& shape) {
  std::string text;
  for (const int64_t size : shape) text += (text.empty() ? "" : "x") + std::to_string(size);
  return text.empty() ? "-" : text;
}

size_t width(modelport_dtype dtype) {
  switch (dtype) {
    case MODELPORT_FLOAT64:
    case MODELPORT_INT64:
    case MODELPORT_UINT64: return 8;
    case MODELPORT_FLOAT32:
    case MODELPORT_INT32:
    case MODELPORT_UINT32: return 4;
    case MODELPORT_INT16:
    case MODELPORT_UINT16:
    case MODELPORT_FLOAT16:
    case MODELPORT_BFLOAT16: return 2;
    default: return 1;
  }
}

std::string bytes_of(const Output& output) {
  if (output.dtype() != MODELPORT_STRING)
    return {static_cast<const char*>(output.data()), output.count() * width(output.dtype())};
  std::string texts;
  for (size_t i = 0; i < output.count(); ++i) texts += output.data<const char*>()[i] + std::string(1, '\0');
  return texts;
}

std::string bytes_of(const Outputs& outputs) {
  std::string bytes;
  for (size_t i = 0; i < outputs.size(); ++i) bytes += bytes_of(outputs.at(i));
  return bytes;
}

class Session {
 public:
  std::string answer(const Words& words) {
    const std::string& verb = words.at(0);
    if (verb == "load") return load(words);
    if (verb == "input") return input(words);
    if (verb == "clear") return held_.clear(), inputs_.clear(), "";
    if (verb == "run") return run(words);
    if (verb == "specs") return specs();
    if (verb == "together") return together(std::stoul(words.at(1)), std::stoul(words.at(2)));
    if (verb == "submit")
      return submit(std::stoul(words.at(1)), std::stoul(words.at(2)),
                    {std::stoul(words.at(3)), std::chrono::microseconds(std::stol(words.at(4)))});
    if (verb == "answer") {
      modelport::Batcher batcher(*engine_,
                                 {std::stoul(words.at(1)), std::chrono::microseconds(std::stol(words.at(2)))});
      return shape_text(batcher.submit(inputs_).get().at(0).shape());
    }
    if (verb == "poison")
      return poison(std::stoul(words.at(1)),
                    {std::stoul(words.at(2)), std::chrono::microseconds(std::stol(words.at(3)))});
    throw std::invalid_argument("unknown command " + verb);
  }

 private:
  std::string load(const Words& words) {
    modelport::LoadOptions options;
    options.threads = 1;
    for (size_t i = 2; i < words.size(); ++i) {
      const size_t equals = words[i].find('=');
      const std::string name = words[i].substr(0, equals), value = words[i].substr(equals + 1);
      if (name == "target") options.target = value;
      else if (name == "threads") options.threads = std::stoi(value);
      else if (name == "graph_optimization") options.graph_optimization = value;
      else if (name == "onnxruntime") options.onnxruntime = value;
      else if (name == "key") options.key = value;
      else if (name == "trust") options.trust = value == "1";
      else throw std::invalid_argument("unknown option " + name);
    }
    engine_.reset();
    engine_ = std::make_unique<Engine>(words.at(1), options);
    return engine_->target() + " " + engine_->runtime();
  }

  std::string input(const Words& words) {
    const auto dtype = static_cast<modelport_dtype>(std::stoi(words.at(2)));
    held_.push_back(std::make_unique<Held>());
    Held& held = *held_.back();
    held.bytes = read_file(words.at(4));
    const void* data = held.bytes.data();
    if (dtype == MODELPORT_STRING) {
      for (size_t at = 0; at < held.bytes.size(); at = held.bytes.find('\0', at) + 1)
        held.texts.push_back(held.bytes.data() + at);
      data = held.texts.data();
    }
    inputs_.emplace_back(words.at(1), parse_shape(words.at(3)), dtype, data);
    return "";
  }

  std::string run(const Words& words) {
    const Outputs outputs = engine_->run(inputs_, {words.begin() + 2, words.end()});
    std::string told;
    for (size_t i = 0; i < outputs.size(); ++i) {
      const Output output = outputs.at(i);
      std::ofstream(words.at(1) + "/" + std::to_string(i), std::ios::binary) << bytes_of(output);
      told += (i ? ";" : "") + output.name() + " " + std::to_string(output.dtype()) + " " + shape_text(output.shape());
    }
    return told;
  }

  std::string specs() const {
    std::string told;
    for (const auto& specs : {engine_->inputs(), engine_->outputs()})
      for (const modelport::Spec& spec : specs) {
        told += spec.name + ":" + std::to_string(spec.dtype);
        if (!spec.axes) told += ":?";
        else
          for (const auto& axis : *spec.axes)
            told += ":" + std::to_string(axis.size) + "," + axis.name + "," + std::to_string(axis.min) + "," +
                    std::to_string(axis.max);
        told += " ";
      }
    return told;
  }

  std::string together(size_t threads, size_t runs) const {
    const std::string wanted = bytes_of(engine_->run(inputs_));
    std::atomic<size_t> wrong{0};
    std::vector<std::thread> running;
    for (size_t i = 0; i < threads; ++i)
      running.emplace_back([&] {
        for (size_t j = 0; j < runs; ++j)
          if (bytes_of(engine_->run(inputs_)) != wanted) ++wrong;
      });
    for (std::thread& thread : running) thread.join();
    return std::to_string(wrong);
  }

  // Every request has rows that no other one has, so that a swapped answer is a wrong one.
  std::string submit(size_t threads, size_t requests, modelport::Batching batching) const {
    const auto spec = engine_->inputs().at(0);
    const int64_t columns = spec.axes->at(1).size;
    modelport::Batcher batcher(*engine_, batching);
    std::atomic<size_t> wrong{0}, answered{0};
    const auto client = [&](size_t number) {
      std::mt19937 random(static_cast<unsigned>(number));
      std::uniform_real_distribution<float> values(-1, 1);
      const size_t own = requests / threads + (number < requests % threads);
      struct Asked {
        modelport::Shape shape;
        std::vector<float> rows;
        std::future<Outputs> answer;
      };
      std::vector<Asked> asked;
      const auto settle = [&] {
        for (Asked& item : asked) {
          const Outputs came = item.answer.get();
          const Outputs wanted = engine_->run({{spec.name, item.shape, item.rows}});
          if (bytes_of(came) != bytes_of(wanted) || came.at(0).shape() != wanted.at(0).shape()) ++wrong;
          ++answered;
        }
        asked.clear();
      };
      for (size_t i = 0; i < own; ++i) {
        const modelport::Shape shape{static_cast<int64_t>(1 + random() % 3), columns};
        std::vector<float> rows(static_cast<size_t>(shape[0] * columns));
        for (float& value : rows) value = values(random);
        asked.push_back({shape, rows, batcher.submit({{spec.name, shape, rows}})});
        std::fill(rows.begin(), rows.end(), 1e9f);  // the batcher has its own
        if (asked.size() == 16) settle();
      }
      settle();
    };
    std::vector<std::thread> clients;
    for (size_t i = 0; i < threads; ++i) clients.emplace_back(client, i);
    for (std::thread& thread : clients) thread.join();
    return std::to_string(answered) + " " + std::to_string(wrong);
  }

  std::string poison(size_t requests, modelport::Batching batching) const {
    std::vector<std::future<Outputs>> answers;
    modelport::Batcher batcher(*engine_, batching);
    for (size_t i = 0; i < requests; ++i) {
      const std::vector<float> x{float(i), float(i) + 0.25f, float(i) + 0.5f};
      const std::vector<int64_t> index{i % 4 == 3 ? 9 : 1};
      answers.push_back(batcher.submit({{"x", {1, 3}, x}, {"i", {1}, index}}));
    }
    size_t failed = 0, right = 0;
    for (size_t i = 0; i < requests; ++i) {
      try {
        if (answers[i].get().at(0).data<float>()[0] == float(i) + 0.25f) ++right;
      } catch (const modelport::RunError&) {
        if (i % 4 == 3) ++failed;
      }
    }
    return std::to_string(failed) + " failed, " + std::to_string(right) + " right";
  }

  struct Held {
    std::string bytes;
    std::vector<const char*> texts;
  };
  std::unique_ptr<Engine> engine_;
  std::vector<std::unique_ptr<Held>> held_;
  std::vector<Input> inputs_;
};

std::string on_one_line(const std::string& text) {
  std::string line;
  for (const char c : text) line += c == '\n' ? std::string("\\n") : std::string(1, c);
  return line;
}

const char* kind_of(const std::exception& error) {
  if (dynamic_cast<const modelport::UsageError*>(&error)) return "UsageError";
  if (dynamic_cast<const modelport::OperatorError*>(&error)) return "OperatorError";
  if (dynamic_cast<const modelport::BuildError*>(&error)) return "BuildError";
  if (dynamic_cast<const modelport::RunError*>(&error)) return "RunError";
  if (dynamic_cast<const modelport::BundleError*>(&error)) return "BundleError";
  return "std::exception";
}

}  // namespace

int main() {
  Session session;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream stream(line);
    const Words words{std::istream_iterator<std::string>(stream), {}};
    try {
      const std::string told = session.answer(words);
      std::cout << "ok " << on_one_line(told) << std::endl;
    } catch (const std::exception& error) {
      std::cout << "error " << kind_of(error) << " " << on_one_line(error.what()) << std::endl;
    }
  }
  return 0;
}
