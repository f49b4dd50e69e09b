-- SPDX-License-Identifier: GPL-2.0-only
--
-- Shows what "bus1-trace export --format pcapng" writes: packets of link type
-- USER0, whose form is described in export-pcapng.c. Everything in them can be
-- filtered by: the arguments of a tracepoint as bus1.NAME, see bus1(4).

local bus1 = Proto("bus1", "bus1")

local VERSION, HEAD = 1, 120

-- Of enumerations; a number that has no word here is shown as such.
local words = {
	tx = { [0] = "transfer", "release", "send", nil, "close", "drop" },
	how = { [0] = "created", "transferred", "message" },
	why = { "released", "closed", "notified", "quota" },
	kind = { "node_release", "handle_release" },
	wait = { [0] = "ready", "deadline", "signal" },
	op = { [0] = "transfer", "release", "send", "recv", [128] = "name",
	       "features", "call", "recv_batch", [256] = "open" },
	check = { "flags", "pointer", "limit", "id", "duplicate", "type",
		  "create", "fd", "data", "iovec", "room", "memory", "signal",
		  "quota", "name", "deadline" },
	resource = { [0] = "objects", "bytes" },
	level = { [0] = "-", "user", "peer" },
}

local errnos = {
	[1] = "EPERM", [4] = "EINTR", [9] = "EBADF", [11] = "EAGAIN",
	[12] = "ENOMEM", [14] = "EFAULT", [22] = "EINVAL", [25] = "ENOTTY",
	[54] = "EXFULL", [56] = "EBADRQC", [90] = "EMSGSIZE",
	[95] = "EOPNOTSUPP", [108] = "ESHUTDOWN", [116] = "ESTALE",
	[122] = "EDQUOT",
	[110] = "ETIMEDOUT",
}

-- The arguments of each event, in order; "a:b" is one whose words are those of
-- b. Which two of them are the peers it goes from and to. And how many there are
-- at least, of an older module.
local events = {
	peer_new = { "peer uid opener time" },
	peer_name = { "peer name0 name1 name2 name3 time" },
	peer_free = { "peer uid transactions receipts time" },
	node_new = { "peer node time" },
	node_release = { "peer node tx why:why time" },
	node_free = { "peer node time" },
	handle_new = { "peer handle node_peer node how:how tx_peer tx index " ..
		       "slot time", "tx_peer", "peer" },
	handle_release = { "peer handle node_peer node why:why time" },
	handle_free = { "peer handle node_peer node time" },
	tx_begin = { "peer tx kind:tx receivers messages notifications time" },
	tx_commit = { "peer tx kind:tx receivers messages notifications " ..
		      "begun time seq", nil, nil, 8 },
	msg_send = { "peer tx index receiver node bytes handles time handle",
		     "peer", "receiver", 8 },
	msg_recv = { "receiver recv peer tx index node bytes handles queued " ..
		     "time seq", "peer", "receiver", 10 },
	msg_discard = { "receiver peer tx index node bytes handles why:why " ..
			"time seq", "peer", "receiver", 9 },
	notify_send = { "peer tx kind:kind receiver id node_peer node time",
			"peer", "receiver" },
	notify_recv = { "receiver recv peer tx kind:kind id node_peer node " ..
			"queued time seq", "peer", "receiver", 10 },
	notify_drop = { "receiver peer tx kind:kind id node_peer node " ..
			"why:why time seq", "peer", "receiver", 9 },
	recv_wait = { "peer begun why:wait time" },
	acct_charge = { "owner claimant peer resource:resource amount held " ..
			"quota_left user_left quota max time" },
	acct_discharge = { "owner claimant peer resource:resource amount " ..
			   "held quota_left user_left quota max time" },
	acct_reject = { "owner claimant peer resource:resource amount held " ..
			"quota_left user_left level:level op:op limit time" },
	op_fail = { "peer cmd:op error check:check detail time owner " ..
		    "level:level resource:resource held limit", nil, nil, 6 },
}

local fields = {
	version = ProtoField.uint16("bus1.version", "Version"),
	type = ProtoField.string("bus1.type", "Event"),
	pid = ProtoField.uint32("bus1.pid", "Process"),
	tid = ProtoField.uint32("bus1.tid", "Thread"),
	comm = ProtoField.string("bus1.comm", "Name of the process"),
	from = ProtoField.string("bus1.from", "From"),
	to = ProtoField.string("bus1.to", "To"),
	from_pid = ProtoField.uint32("bus1.from_pid", "From process"),
	to_pid = ProtoField.uint32("bus1.to_pid", "To process"),
	name = ProtoField.string("bus1.name", "name"),
	error = ProtoField.int32("bus1.error", "error"),
	errno = ProtoField.string("bus1.errno", "errno"),
	payload = ProtoField.bytes("bus1.payload", "Payload"),
	tx_peer = ProtoField.uint64("bus1.tx_peer", "tx_peer"),
	latency = ProtoField.uint64("bus1.latency", "latency"),
	conversation = ProtoField.string("bus1.conversation", "Peers"),
	sent_in = ProtoField.framenum("bus1.sent_in", "Sent in", base.NONE,
				      frametype.REQUEST),
	recv_in = ProtoField.framenum("bus1.recv_in", "Ended in", base.NONE,
				      frametype.RESPONSE),
}

for _, event in pairs(events) do
	event.args = {}
	for word in event[1]:gmatch("%S+") do
		local name, set = word:match("^([^:]+):?(.*)$")

		event.args[#event.args + 1] = { name = name, words = words[set] }
		if not fields[name] then
			local new = words[set] and ProtoField.string or
				    ProtoField.uint64

			fields[name] = new("bus1." .. name, name)
		end
	end
end

bus1.fields = {}
for _, field in pairs(fields) do
	table.insert(bus1.fields, field)
end

local malformed = ProtoExpert.new("bus1.malformed", "Not what it claims to be",
				  expert.group.MALFORMED, expert.severity.ERROR)
local unknown = ProtoExpert.new("bus1.unknown", "Of a newer bus1-trace",
				expert.group.UNDECODED, expert.severity.WARN)
bus1.experts = { malformed, unknown }

-- Frames of a message or notification, by who received what
local sent, ended

function bus1.init()
	sent, ended = {}, {}
end

-- A name that is filled up with 0
local function text(tvb, offset, size)
	local length = tvb(offset, size):bytes():raw():find("\0", 1, true)

	length = length and length - 1 or size
	if length == 0 then
		return ""
	end
	return tvb(offset, length):string(ENC_UTF_8)
end

local function nanoseconds(v)
	local n = v:tonumber()

	if n < 1000 then
		return string.format("%dns", n)
	elseif n < 1000000 then
		return string.format("%.1fus", n / 1e3)
	elseif n < 1000000000 then
		return string.format("%.1fms", n / 1e6)
	end
	return string.format("%.1fs", n / 1e9)
end

local function peer(name, id)
	return (name == "" and "?" or name) .. "#" .. id
end

local function message(v)
	local s = "tx " .. v.tx .. "." .. v.index .. " " .. v.bytes .. "B"

	return v.handles == "0" and s or s .. " " .. v.handles .. "h"
end

local function notification(v)
	return "tx " .. v.tx .. " " .. v.kind .. " " .. v.id
end

local function transaction(v)
	return v.kind .. " tx " .. v.tx .. " to " .. v.receivers .. " " ..
	       v.messages .. "m " .. v.notifications .. "n"
end

-- What a row of monitor says
local info = {
	peer_new = function(v) return "open uid " .. v.uid end,
	peer_name = function(v) return "name " .. v.name end,
	peer_free = function(v)
		return "gone made " .. v.transactions ..
		       " transactions, received " .. v.receipts
	end,
	tx_begin = function(v) return "begin " .. transaction(v) end,
	tx_commit = transaction,
	msg_send = function(v) return "message " .. message(v) end,
	msg_recv = function(v) return "recv " .. message(v) end,
	msg_discard = function(v)
		return "discard " .. message(v) .. " " .. v.why
	end,
	notify_send = function(v) return "notification " .. notification(v) end,
	notify_recv = function(v) return "notify " .. notification(v) end,
	notify_drop = function(v)
		return "vanish " .. notification(v) .. " " .. v.why
	end,
	recv_wait = function(v) return "wait " .. v.why end,
	acct_reject = function(v)
		return "reject " .. v.op .. " uid " .. v.claimant .. " at " ..
		       v.owner .. " " .. v.level .. " " .. v.held .. "+" ..
		       v.amount .. ">" .. v.limit .. " " .. v.resource
	end,
	op_fail = function(v)
		return "fail " .. v.cmd .. " " .. (v.errno or v.error) ..
		       ": " .. v.check .. " " .. v.detail
	end,
}

local function any(kind, event, v)
	local s = kind

	for _, arg in ipairs(event.args) do
		if v[arg.name] and arg.name ~= "time" then
			s = s .. " " .. arg.name .. " " .. v[arg.name]
		end
	end
	return s
end

-- Adds the arguments to @tree; returns them as text, by name.
local function arguments(tvb, tree, kind, event, n)
	local v, raw = {}, {}

	for i = 1, math.min(n, #event.args) do
		local arg = event.args[i]
		local range = tvb(HEAD + 8 * (i - 1), 8)
		local value = range:le_uint64()

		raw[arg.name] = value
		if arg.words then
			v[arg.name] = arg.words[value:tonumber()] or
				      tostring(value)
			tree:add(fields[arg.name], range, v[arg.name])
		elseif arg.name == "error" then
			local code = range(0, 4):le_int()

			v.error = tostring(code)
			v.errno = errnos[-code]
			tree:add_le(fields.error, range(0, 4))
			if v.errno then
				tree:add(fields.errno, range(0, 4), v.errno)
			end
		elseif kind == "peer_name" and i > 1 and i < 6 then
			if i == 5 then
				v.name = text(tvb, HEAD + 8, 32)
				tree:add(fields.name, tvb(HEAD + 8, 32), v.name)
			end
		else
			v[arg.name] = tostring(value)
			tree:add_le(fields[arg.name], range)
		end
	end
	return v, raw
end

-- What of the message or notification the other frames are
local function link(pinfo, tree, kind, v)
	local key, here, there, field

	key = table.concat({ v.receiver, v.peer, v.tx, v.index or v.kind,
			     v.id or "" }, ":")
	if kind == "msg_send" or kind == "notify_send" then
		here, there, field = sent, ended, fields.recv_in
	else
		here, there, field = ended, sent, fields.sent_in
	end
	if not pinfo.visited then
		here[key] = pinfo.number
	end
	if there[key] then
		tree:add(field, there[key]):set_generated()
	end
end

-- What follows from the arguments
local function generated(pinfo, tree, kind, v, raw)
	local latency

	if v.tx and v.peer and not v.tx_peer then
		tree:add(fields.tx_peer, raw.peer):set_generated()
	end
	if v.receiver and v.peer then
		local a, b = raw.peer, raw.receiver

		if b < a then
			a, b = b, a
		end
		tree:add(fields.conversation, tostring(a) .. "-" ..
			 tostring(b)):set_generated()
		link(pinfo, tree, kind, v)
	end
	if v.begun and v.begun ~= "0" and raw.begun <= raw.time then
		latency = raw.time - raw.begun
	elseif v.queued and v.queued ~= "0" then
		latency = raw.queued
	end
	if latency then
		tree:add(fields.latency, latency):set_generated()
	end
	return latency
end

function bus1.dissector(tvb, pinfo, root)
	local tree, kind, event, length, n, v, raw, latency, from, to

	pinfo.cols.protocol = "bus1"
	tree = root:add(bus1, tvb())
	if tvb:len() < HEAD then
		tree:add_proto_expert_info(malformed)
		return
	end
	length, n = tvb(2, 2):le_uint(), tvb(12, 4):le_uint()
	tree:add_le(fields.version, tvb(0, 2))
	if tvb(0, 2):le_uint() ~= VERSION then
		tree:add_proto_expert_info(unknown)
		return
	end
	if length > tvb:len() or n > 64 or length ~= HEAD + 8 * n then
		tree:add_proto_expert_info(malformed)
		return
	end

	kind = text(tvb, 16, 16)
	from, to = text(tvb, 48, 32), text(tvb, 80, 32)
	tree:append_text(" " .. kind)
	tree:add(fields.type, tvb(16, 16), kind)
	tree:add_le(fields.pid, tvb(4, 4))
	tree:add_le(fields.tid, tvb(8, 4))
	tree:add(fields.comm, tvb(32, 16), text(tvb, 32, 16))
	tree:add(fields.from, tvb(48, 32), from)
	tree:add_le(fields.from_pid, tvb(112, 4))
	event = events[kind]
	if not event or n < (event[4] or #event.args) then
		pinfo.cols.info = kind
		tree:add_proto_expert_info(unknown)
		return
	end
	if event[3] then
		tree:add(fields.to, tvb(80, 32), to)
		tree:add_le(fields.to_pid, tvb(116, 4))
	end

	v, raw = arguments(tvb, tree, kind, event, n)
	latency = generated(pinfo, tree, kind, v, raw)
	pinfo.cols.src = peer(from, v[event[2] or "peer"])
	if event[3] then
		pinfo.cols.dst = peer(to, v[event[3]])
	end
	pinfo.cols.info = (info[kind] and info[kind](v) or
			   any(kind, event, v)) ..
			  (latency and ", " .. nanoseconds(latency) or "")
	if tvb:len() > length then
		tree:add(fields.payload, tvb(length))
	end
end

DissectorTable.get("wtap_encap"):add((wtap_encaps or wtap).USER0, bus1)
