-- Asks Gatehouse whether the device of this connection may pass: http-request lua.gatehouse PATH
--
-- Leaves the answer's status in txn.gatehouse, and on 200 puts the device's headers in the place of whatever the
-- client has sent. An answer that lacks one of them counts as none: the request must not keep the client's own.
-- Whatever goes wrong in here leaves txn.gatehouse as it was, and the configuration denies what is not 200.
local headers = {
    "X-Device-Id",
    "X-Device-Model",
    "X-Device-Tier",
    "X-Device-Segment",
    "X-Device-Key-Protection",
    "X-Device-Lease",
}

local function authorize(txn, path)
    for _, name in ipairs(headers) do
        txn.http:req_del_header(name)
    end
    local certificate = txn.f:ssl_c_der()
    if certificate == nil or certificate == "" then
        return
    end
    local answer = core.httpclient():get{
        url = "http://gatehouse" .. path,
        dst = "abns@gatehouse-question",
        headers = { ["client-cert"] = { ":" .. txn.c:base64(certificate) .. ":" } }, -- RFC 9440
        timeout = 3000,
    }
    if answer == nil or answer.status == nil then
        return
    end
    if answer.status ~= 200 then
        txn:set_var("txn.gatehouse", tostring(answer.status))
        return
    end
    local found = {}
    for _, name in ipairs(headers) do
        local values = answer.headers[string.lower(name)]
        if values == nil or values[0] == nil or values[1] ~= nil then
            core.log(core.err, "gatehouse: not exactly one " .. name .. " in the answer")
            return
        end
        found[name] = values[0]
    end
    for name, value in pairs(found) do
        txn.http:req_set_header(name, value)
    end
    txn:set_var("txn.gatehouse", "200")
end

core.register_action("gatehouse", { "http-req" }, authorize, 1)
