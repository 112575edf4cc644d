#include "trust.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <set>
#include <system_error>

#include "bundle.h"
#include "error.h"

namespace modelport::runtime {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t signature_limit = 4096;
const char* const make_keys =
    "modelport bundle keygen makes a pair of keys; so does openssl genpkey -algorithm ed25519";

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

// A folder of the user's: $variable/modelport, by default ~/fallback/modelport.
fs::path own_folder(const char* name, const char* fallback) {
  const std::string given = variable(name);
  return (given.empty() ? fs::path(variable("HOME")) / fallback : fs::path(given)) / "modelport";
}

fs::path keys_folder() { return own_folder("XDG_CONFIG_HOME", ".config") / "keys"; }

// Where Python keeps a file, named by its digest, for all code that this user built here.
fs::path built_folder() {
  const std::string given = variable("MODELPORT_CACHE");
  return (given.empty() ? own_folder("XDG_CACHE_HOME", ".cache") : fs::path(given)) / "built";
}

bool is_remembered(const std::string& digest) {
  struct stat status{};
  return stat((built_folder() / digest).c_str(), &status) == 0 && status.st_uid == getuid();
}

Key read_key(const fs::path& path) {
  const std::unique_ptr<BIO, int (*)(BIO*)> file(BIO_new_file(path.c_str(), "r"), BIO_free);
  Key key(file ? PEM_read_bio_PUBKEY(file.get(), nullptr, nullptr, nullptr) : nullptr, EVP_PKEY_free);
  ERR_clear_error();
  if (!key) throw usage_error("cannot read the key " + path.string(), {{}, {}, make_keys});
  if (EVP_PKEY_id(key.get()) != EVP_PKEY_ED25519)
    throw usage_error(path.string() + " is not a public ed25519 key", {{}, {}, make_keys});
  return key;
}

bool holds(const std::string& signature, const std::string& data, const fs::path& path) {
  const Key key = read_key(path);
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  const auto bytes = [](const std::string& text) { return reinterpret_cast<const unsigned char*>(text.data()); };
  const bool good = context && EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
                    EVP_DigestVerify(context.get(), bytes(signature), signature.size(), bytes(data), data.size()) == 1;
  ERR_clear_error();
  return good;
}

// The public keys that this user trusts.
std::vector<fs::path> known_keys() {
  std::vector<fs::path> keys;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(keys_folder(), none))
    if (entry.path().extension() == ".pem") keys.push_back(entry.path());
  std::sort(keys.begin(), keys.end());
  return keys;
}

bool is_signed_by_known_key(const Bundle& bundle, const fs::path& file) {
  const auto keys = known_keys();
  if (keys.empty() || !fs::is_regular_file(file)) return false;
  const std::string signature = read_file(file, signature_limit, bundle.where);
  const std::string data = read_file(bundle.folder / manifest_name, manifest_limit, bundle.where);
  return std::any_of(keys.begin(), keys.end(), [&](const fs::path& key) { return holds(signature, data, key); });
}

}  // namespace

void require_signed(const std::string& data, const fs::path& signature, const fs::path& key, const std::string& where) {
  if (!fs::is_regular_file(signature))
    throw bundle_error("the bundle is not signed", {where, {}, "modelport bundle sign, by who made it"});
  if (!holds(read_file(signature, signature_limit, where), data, key))
    throw bundle_error("the bundle is not signed by " + key.string(),
                       {where, "the signature does not hold for this key and this content",
                        "ask who made it for the key, or for the bundle"});
}

void Bundle::require_trusted(const Artifact& artifact) const {
  std::set<std::string> code;
  for (const std::string& name : manifest.code_of(artifact)) code.insert(here(name));
  std::vector<std::string> foreign;
  for (const std::string& name : code)
    if (!is_remembered(manifest.files.at(name).sha256)) foreign.push_back(name);
  const fs::path signature = folder / seal_name;
  if (foreign.empty() || signed_by_key || is_signed_by_known_key(*this, signature)) return;
  const char* signer = fs::is_regular_file(signature) ? "signed by no key that is known here" : "not signed";
  throw bundle_error("the bundle has code that is not known here: " + joined(foreign),
                     {where, "it was not built by this user on this machine, and the bundle is " + std::string(signer),
                      "if you know where it comes from: trust=True, or --trust, or once and for all `modelport "
                      "bundle trust " +
                          where + "`; to know its maker from now on, put their public key into " +
                          keys_folder().string()});
}

}  // namespace modelport::runtime
