#include "trust.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <pwd.h>
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

const char* const make_keys =
    "modelport bundle keygen makes a pair of keys; so does openssl genpkey -algorithm ed25519";

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

// A folder of the XDG Base Directory Specification, $name/modelport, by default ~/fallback/modelport.
// What is not absolute is ignored: it would depend on the working directory. Empty where there is no
// home.
fs::path user_folder(const char* name, const char* fallback) {
  if (const fs::path named = variable(name); named.is_absolute()) return named / "modelport";
  fs::path home = variable("HOME");
  if (!home.is_absolute()) {
    const passwd* user = getpwuid(getuid());
    home = user && user->pw_dir ? user->pw_dir : "";
  }
  return home.is_absolute() ? home / fallback / "modelport" : fs::path();
}

fs::path keys_folder() {
  const fs::path settings = user_folder("XDG_CONFIG_HOME", ".config");
  return settings.empty() ? settings : settings / "keys";
}

// Where Python keeps a file, named by its digest, for all code that this user built here.
fs::path built_folder() {
  const fs::path given = variable("MODELPORT_CACHE");
  if (!given.empty() && !given.is_absolute())
    throw usage_error("MODELPORT_CACHE is not an absolute path: " + given.string(),
                      {{},
                       "what is loaded would depend on the working directory",
                       "set it to " + fs::absolute(given).string()});
  const fs::path cache = given.empty() ? user_folder("XDG_CACHE_HOME", ".cache") : given;
  return cache.empty() ? cache : cache / "built";
}

// What others could have written is not believed.
bool is_remembered(const std::string& digest) {
  const fs::path folder = built_folder();
  struct stat status{};
  return !folder.empty() && lstat((folder / digest).c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
         status.st_uid == getuid() && is_private(folder);
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

// The public keys that this user trusts; none where others can write them.
std::vector<fs::path> known_keys() {
  std::vector<fs::path> keys;
  std::error_code none;
  const fs::path folder = keys_folder();
  if (folder.empty() || !is_private(folder)) return keys;
  for (const auto& entry : fs::directory_iterator(folder, none))
    if (entry.path().extension() == ".pem") keys.push_back(entry.path());
  std::sort(keys.begin(), keys.end());
  return keys;
}

bool is_signed_by_known_key(const Bundle& bundle) {
  if (!bundle.signature) return false;
  const auto keys = known_keys();
  return std::any_of(keys.begin(), keys.end(),
                     [&](const fs::path& key) { return holds(*bundle.signature, bundle.data, key); });
}

}  // namespace

void require_signed(const Bundle& bundle, const fs::path& key) {
  if (!bundle.signature)
    throw bundle_error("the bundle is not signed", {bundle.where, {}, "modelport bundle sign, by who made it"});
  if (!holds(*bundle.signature, bundle.data, key))
    throw bundle_error("the bundle is not signed by " + key.string(),
                       {bundle.where, "the signature does not hold for this key and this content",
                        "ask who made it for the key, or for the bundle"});
}

void Bundle::require_trusted(const Artifact& artifact) const {
  std::set<std::string> code;
  for (const std::string& name : manifest.code_of(artifact)) code.insert(here(name));
  require_trusted(std::vector<std::string>(code.begin(), code.end()));
}

void Bundle::require_trusted(const std::vector<std::string>& code) const {
  if (trusted_by_caller || signed_by_key) return;
  std::vector<std::string> foreign;
  for (const std::string& name : code)
    if (!is_remembered(manifest.files.at(name).sha256)) foreign.push_back(name);
  if (foreign.empty() || is_signed_by_known_key(*this)) return;
  const char* signer = signature ? "signed by no key that is known here" : "not signed";
  const fs::path keys = keys_folder();
  throw bundle_error("the bundle has code that is not known here: " + joined(foreign),
                     {where, "it was not built by this user on this machine, and the bundle is " + std::string(signer),
                      "if you know where it comes from: trust=True, or --trust, or once and for all `modelport "
                      "bundle trust " +
                          where + "`; to know its maker from now on, put their public key into " +
                          (keys.empty() ? "~/.config/modelport/keys" : keys.string())});
}

TrustedCode Bundle::trusted_code(const std::string& name) const {
  const auto file = manifest.files.find(name);
  if (file == manifest.files.end()) throw usage_error(name + " is no file of the bundle", {where, {}, {}});
  require_trusted(std::vector<std::string>{name});
  return {folder, name, file->second.sha256, where};
}

}  // namespace modelport::runtime
