#include "base/error.h"
#include "model/tokenizer/spec_json.h"

namespace sentinel::spec_json {
namespace {
using nlohmann::json;

// Takes the parser's events: builds a tree of everything but vocabulary and merges.
class Handler {
 public:
  Handler(const std::string& name, Layout layout, Document& document)
      : name_(name), layout_(layout), document_(document) {}

  bool null() { return scalar(nullptr); }
  bool boolean(bool value) { return scalar(value); }
  bool number_integer(int64_t value) { return scalar(value); }
  bool number_float(double value, const std::string&) { return scalar(value); }
  bool binary(json::binary_t&) { return scalar(nullptr); }
  bool number_unsigned(uint64_t value) {
    if (mode_ != Mode::vocab) return scalar(value);
    document_.vocab.push_back({key_, get_id(value, key_, name_)});
    return true;
  }
  bool string(std::string& value) {
    if (mode_ == Mode::merges) {
      split_merge(value);
    } else if (mode_ == Mode::pair && pair_size_ < 2) {
      auto& [left, right] = document_.merges.back();
      (pair_size_++ == 0 ? left : right) = std::move(value);
    } else {
      scalar(std::move(value));
    }
    return true;
  }

  bool key(std::string& key) {
    key_ = std::move(key);
    if (mode_ == Mode::vocab && key_.empty()) {
      throw bad_input("{}: the vocabulary has an empty token", name_);
    }
    return true;
  }

  bool start_object(size_t) {
    const bool is_vocab =
        layout_ == Layout::vocab_json ? nodes_.empty() && !has_root_ : is_in_model("vocab");
    open(json::object(), is_vocab, Mode::vocab);
    return true;
  }
  bool start_array(size_t) {
    if (mode_ == Mode::merges) {
      document_.merges.emplace_back();
      pair_size_ = 0;
      mode_ = Mode::pair;
    } else {
      open(json::array(), is_in_model("merges"), Mode::merges);
    }
    return true;
  }
  bool end_object() { return close(); }
  bool end_array() {
    if (mode_ != Mode::pair) return close();
    if (pair_size_ != 2) throw bad_merge(document_.merges.size() - 1, "a list");
    mode_ = Mode::merges;
    return true;
  }

  bool parse_error(size_t, const std::string&, const json::exception& error) {
    throw bad_input("{}: not valid JSON ({}); download the file again", name_,
                    printable(error.what(), 160));
  }

 private:
  enum class Mode { tree, vocab, merges, pair };
  struct Node {
    json* value;
    std::string key;  // under which it stands in its parent, "" in an array
  };

  bool is_in_model(const char* key) const {
    return layout_ == Layout::tokenizer_json && nodes_.size() == 2 && nodes_[1].key == "model" &&
           key_ == key;
  }

  Error bad_merge(size_t index, std::string_view what) const {
    return bad_input("{}: merge {} is not two tokens: {}; download the file again", name_, index,
                     printable(what));
  }

  void split_merge(const std::string& text) {
    const size_t space = text.find(' ');
    if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) {
      throw bad_merge(document_.merges.size(), text);
    }
    document_.merges.emplace_back(text.substr(0, space), text.substr(space + 1));
  }

  // A value that is no string inside the merges, or no id inside the vocabulary, is an error.
  bool scalar(json value) {
    put(std::move(value));
    return true;
  }

  json* put(json value) {
    if (mode_ == Mode::vocab) get_id(value, key_, name_);  // throws: ids came by number_unsigned
    if (mode_ != Mode::tree) {
      throw bad_merge(document_.merges.size() - (mode_ == Mode::pair ? 1 : 0), value.type_name());
    }
    if (nodes_.empty()) {
      has_root_ = true;
      document_.root = std::move(value);
      return &document_.root;
    }
    json& parent = *nodes_.back().value;
    if (parent.is_array()) {
      parent.push_back(std::move(value));
      return &parent.back();
    }
    const auto [item, is_new] = parent.emplace(key_, std::move(value));
    if (!is_new)
      throw bad_input("{}: key \"{}\" stands twice; download the file again", name_,
                      printable(key_));
    return &*item;
  }

  void open(json container, bool is_bulk, Mode bulk_mode) {
    constexpr size_t kMaxDepth = 64;
    if (nodes_.size() >= kMaxDepth)
      throw bad_input("{}: JSON is nested too deeply; download the file again", name_);
    const bool in_array = !nodes_.empty() && nodes_.back().value->is_array();
    json* value = put(std::move(container));
    if (is_bulk) {
      mode_ = bulk_mode;
    } else {
      nodes_.push_back({value, in_array ? std::string() : key_});
    }
  }

  bool close() {
    if (mode_ != Mode::tree) {
      mode_ = Mode::tree;
    } else {
      nodes_.pop_back();
    }
    return true;
  }

  const std::string& name_;
  const Layout layout_;
  Document& document_;
  std::vector<Node> nodes_;  // the open containers
  std::string key_;
  Mode mode_ = Mode::tree;
  bool has_root_ = false;
  int pair_size_ = 0;
};

}  // namespace

Document parse(std::string_view text, const std::string& name, Layout layout) {
  if (text.empty()) throw bad_input("{}: the file is empty; copy or download it again", name);
  Document document;
  Handler handler(name, layout, document);
  json::sax_parse(text.begin(), text.end(), &handler);
  if (!document.root.is_object()) {
    throw bad_input("{}: not a JSON object; copy or download the file again", name);
  }
  return document;
}

}  // namespace sentinel::spec_json
