// behind.cpp -- a TensorRT plugin as people write it in C++: classes with virtual functions, several bases and a
// virtual destructor. It puts its two inputs behind each other along the first dimension. RELEASE (10 or 11) says
// which form of the logger it is compiled for.
//
// The classes are declared here as far as a plugin sees them, after the facts in src/bridge/tensorrt_abi.h.
#include <dlfcn.h>

#include <cstdint>
#include <cstring>
#include <string>

namespace trt {

struct Info { const char *kind; int32_t major, minor; };
struct Dims { int32_t nbDims; int64_t d[8]; };
struct Tensor { Dims dims; int32_t type, format; float scale; };
struct Range { Tensor desc; Dims min, max, opt; };
struct Field { const char *name; const void *data; int32_t type, length; };
struct Fields { int32_t nbFields; const Field *fields; };

struct Versioned {
	virtual int32_t getAPILanguage() const noexcept { return 0; }
	virtual Info getInterfaceInfo() const noexcept = 0;
	virtual ~Versioned() noexcept = default;
};

// What the host makes: an object that calls what it points to.
struct SizeValue {
	virtual ~SizeValue() noexcept = default;
	virtual bool isConstant() const = 0;
	virtual int64_t getConstantValue() const = 0;
	virtual bool isSizeTensor() const = 0;
};
class Size {
public:
	bool isConstant() const noexcept { return value->isConstant(); }
	int64_t getConstantValue() const noexcept { return value->getConstantValue(); }
protected:
	SizeValue *value;
	virtual ~Size() noexcept = default;
};
struct SizeMaker {
	virtual ~SizeMaker() noexcept = default;
	virtual const Size *constant(int64_t value) = 0;
	virtual const Size *operation(int32_t op, const Size &a, const Size &b) = 0;
	virtual const Size *declareSizeTensor(int32_t output, const Size &best, const Size &upper) = 0;
};
class Builder {
public:
	const Size *operation(int32_t op, const Size &a, const Size &b) noexcept { return maker->operation(op, a, b); }
protected:
	SizeMaker *maker;
	virtual ~Builder() noexcept = default;
};
struct Sizes { int32_t nbDims; const Size *d[8]; };

struct Capability : Versioned {};
struct Plugin : Versioned {
	Info getInterfaceInfo() const noexcept override { return { "PLUGIN", 1, 0 }; }
	virtual Capability *getCapabilityInterface(int32_t type) noexcept = 0;
	virtual Plugin *clone() noexcept = 0;
};
struct Core : Capability {
	Info getInterfaceInfo() const noexcept override { return { "PLUGIN_V3ONE_CORE", 1, 0 }; }
	virtual const char *getPluginName() const noexcept = 0;
	virtual const char *getPluginVersion() const noexcept = 0;
	virtual const char *getPluginNamespace() const noexcept = 0;
};
struct Build : Capability {
	Info getInterfaceInfo() const noexcept override { return { "PLUGIN_V3ONE_BUILD", 1, 0 }; }
	virtual int32_t configurePlugin(const Range *in, int32_t nIn, const Range *out, int32_t nOut) noexcept = 0;
	virtual int32_t getOutputDataTypes(int32_t *out, int32_t nOut, const int32_t *in, int32_t nIn) const noexcept = 0;
	virtual int32_t getOutputShapes(const Sizes *in, int32_t nIn, const Sizes *shapes, int32_t nShapes, Sizes *out,
	                                int32_t nOut, Builder &) noexcept = 0;
	virtual bool supportsFormatCombination(int32_t position, const Range *inOut, int32_t nIn, int32_t nOut) noexcept = 0;
	virtual int32_t getNbOutputs() const noexcept = 0;
	virtual size_t getWorkspaceSize(const Range *, int32_t, const Range *, int32_t) const noexcept { return 0; }
	virtual int32_t getValidTactics(int32_t *, int32_t) noexcept { return 0; }
	virtual int32_t getNbTactics() noexcept { return 0; }
	virtual const char *getTimingCacheID() noexcept { return nullptr; }
	virtual int32_t getFormatCombinationLimit() noexcept { return 100; }
	virtual const char *getMetadataString() noexcept { return nullptr; }
};
struct Runtime : Capability {
	Info getInterfaceInfo() const noexcept override { return { "PLUGIN_V3ONE_RUNTIME", 1, 0 }; }
	virtual int32_t setTactic(int32_t) noexcept { return 0; }
	virtual int32_t onShapeChange(const Tensor *in, int32_t nIn, const Tensor *out, int32_t nOut) noexcept = 0;
	virtual int32_t enqueue(const Tensor *inDesc, const Tensor *outDesc, const void *const *in, void *const *out,
	                        void *workspace, void *stream) noexcept = 0;
	virtual Plugin *attachToContext(void *context) noexcept = 0;
	virtual const Fields *getFieldsToSerialize() noexcept = 0;
};
struct Creator : Versioned {
	Info getInterfaceInfo() const noexcept override { return { "PLUGIN CREATOR_V3ONE", 1, 0 }; }
	virtual Plugin *createPlugin(const char *layer, const Fields *, int32_t phase) noexcept = 0;
	virtual const Fields *getFieldNames() noexcept = 0;
	virtual const char *getPluginName() const noexcept = 0;
	virtual const char *getPluginVersion() const noexcept = 0;
	virtual const char *getPluginNamespace() const noexcept = 0;
};

#if RELEASE == 10
struct Logger {
	virtual void log(int32_t severity, const char *message) noexcept = 0;
	virtual ~Logger() = default;
};
struct LoggerFinder {
	virtual Logger *findLogger() = 0;
	virtual ~LoggerFinder() = default;
};
#else
struct Logger : Versioned { virtual void log(int32_t severity, const char *message) noexcept = 0; };
struct LoggerFinder : Versioned { virtual Logger *findLogger() noexcept = 0; };
#endif

}  // namespace trt

namespace {

trt::LoggerFinder *finder;

struct Job { const void *in[2]; char *out; size_t bytes[2]; };

void copyBoth(void *data)
{
	const Job *j = static_cast<Job *>(data);
	std::memcpy(j->out, j->in[0], j->bytes[0]);
	std::memcpy(j->out + j->bytes[0], j->in[1], j->bytes[1]);
}

class Behind final : public trt::Plugin, public trt::Core, public trt::Build, public trt::Runtime {
public:
	explicit Behind(std::string label) : label(std::move(label)) {}

	trt::Capability *getCapabilityInterface(int32_t type) noexcept override
	{
		if (type == 0) return static_cast<trt::Core *>(this);
		if (type == 1) return static_cast<trt::Build *>(this);
		return type == 2 ? static_cast<trt::Runtime *>(this) : nullptr;
	}
	trt::Plugin *clone() noexcept override { return new Behind(label); }

	const char *getPluginName() const noexcept override { return "Behind"; }
	const char *getPluginVersion() const noexcept override { return "3"; }
	const char *getPluginNamespace() const noexcept override { return "ours"; }

	int32_t configurePlugin(const trt::Range *, int32_t, const trt::Range *, int32_t) noexcept override { return 0; }
	int32_t getOutputDataTypes(int32_t *out, int32_t, const int32_t *in, int32_t nIn) const noexcept override
	{
		if (nIn != 2 || in[0] != in[1]) return 1;
		out[0] = in[0];
		return 0;
	}
	int32_t getOutputShapes(const trt::Sizes *in, int32_t nIn, const trt::Sizes *, int32_t, trt::Sizes *out, int32_t,
	                        trt::Builder &builder) noexcept override
	{
		if (nIn != 2 || in[0].nbDims != in[1].nbDims || in[0].nbDims == 0) return 1;
		out[0] = in[0];
		out[0].d[0] = builder.operation(0, *in[0].d[0], *in[1].d[0]);
		return 0;
	}
	bool supportsFormatCombination(int32_t position, const trt::Range *inOut, int32_t, int32_t) noexcept override
	{
		const trt::Tensor &t = inOut[position].desc;
		return t.format == 0 && t.type >= 0 && t.type <= 1 && t.type == inOut[0].desc.type;
	}
	int32_t getNbOutputs() const noexcept override { return 1; }

	int32_t onShapeChange(const trt::Tensor *in, int32_t, const trt::Tensor *, int32_t) noexcept override
	{
		for (int k = 0; k < 2; k++) {
			bytes[k] = in[k].type == 0 ? 4 : 2;
			for (int d = 0; d < in[k].dims.nbDims; d++) bytes[k] *= static_cast<size_t>(in[k].dims.d[d]);
		}
		return 0;
	}
	int32_t enqueue(const trt::Tensor *, const trt::Tensor *, const void *const *in, void *const *out, void *,
	                void *stream) noexcept override
	{
		using Launch = int (*)(void *, void (*)(void *), void *);
		void *driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_NOLOAD);
		auto launch = driver ? reinterpret_cast<Launch>(dlsym(driver, "cuLaunchHostFunc")) : nullptr;
		if (!launch) return 1;
		return launch(stream, copyBoth, new Job{ { in[0], in[1] }, static_cast<char *>(out[0]), { bytes[0], bytes[1] } });
	}
	trt::Plugin *attachToContext(void *) noexcept override { return clone(); }
	const trt::Fields *getFieldsToSerialize() noexcept override
	{
		field = { "label", label.data(), 6, static_cast<int32_t>(label.size()) };
		fields = { 1, &field };
		return &fields;
	}

private:
	std::string label;
	trt::Field field{};
	trt::Fields fields{};
	size_t bytes[2] = { 0, 0 };
};

class BehindCreator final : public trt::Creator {
public:
	trt::Plugin *createPlugin(const char *layer, const trt::Fields *given, int32_t) noexcept override
	{
		std::string label;
		for (int32_t k = 0; k < given->nbFields; k++) {
			const trt::Field &f = given->fields[k];
			if (std::strcmp(f.name, "label") != 0 || f.type != 6) {
				if (finder) finder->findLogger()->log(1, (std::string(layer) + " was given " + f.name).c_str());
				return nullptr;
			}
			label.assign(static_cast<const char *>(f.data), static_cast<size_t>(f.length));
		}
		return new Behind(label);
	}
	const trt::Fields *getFieldNames() noexcept override { return &names; }
	const char *getPluginName() const noexcept override { return "Behind"; }
	const char *getPluginVersion() const noexcept override { return "3"; }
	const char *getPluginNamespace() const noexcept override { return "ours"; }

private:
	trt::Field name{ "label", nullptr, 6, 0 };
	trt::Fields names{ 1, &name };
};

BehindCreator creator;

}  // namespace

extern "C" __attribute__((visibility("default"))) void setLoggerFinder(trt::LoggerFinder *given) { finder = given; }
extern "C" __attribute__((visibility("default"))) trt::Creator *const *getCreators(int32_t *count)
{
	static trt::Creator *const all[] = { &creator };
	*count = 1;
	return all;
}
