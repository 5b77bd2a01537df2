-- What a user does in Neovim: types a faulty row, completes and fixes it, jumps from a case and renames a role.
-- Writes what was seen as JSON to the file that the environment names.
local seen = {}
local row = 'p, catalog:read, /api/v1/teams/**, GET|HEAD, alow'

local function wait(what, check)
  assert(vim.wait(30000, check, 20), 'no ' .. what)
end

local function faults()
  return vim.diagnostic.get(0, { severity = vim.diagnostic.severity.ERROR })
end

local function request(method, line, column)
  local params = { textDocument = vim.lsp.util.make_text_document_params(0), position = { line = line, character = column } }
  local answers = vim.lsp.buf_request_sync(0, method, params, 30000)
  local _, answer = next(answers)
  return answer.result
end

local function run()
  vim.cmd.edit('catalog.csv')
  wait('client', function() return #vim.lsp.get_clients({ bufnr = 0 }) > 0 end)
  local last = vim.api.nvim_buf_line_count(0) - 1
  vim.api.nvim_buf_set_lines(0, last, last, false, { row })
  wait('fault', function() return #faults() > 0 end)
  local fault = faults()[1]
  seen.fault = { message = fault.message, line = fault.lnum - last, column = fault.col, source = fault.source, code = fault.code }

  seen.completions = vim.tbl_map(function(item) return item.label end, request('textDocument/completion', last, #'p, catalog:').items)
  seen.hover = request('textDocument/hover', last, #'p, cat').contents.value

  vim.api.nvim_win_set_cursor(0, { last + 1, #row - 1 })
  vim.lsp.buf.code_action({ apply = true, context = { only = { 'quickfix' } } })
  wait('fix', function() return vim.api.nvim_buf_get_lines(0, last, last + 1, false)[1] ~= row end)
  seen.fixed = vim.api.nvim_buf_get_lines(0, last, last + 1, false)[1]
  wait('end of the fault', function() return #faults() == 0 end)
  vim.cmd('edit!')

  vim.cmd.edit('tests/catalog.yaml')
  wait('client', function() return #vim.lsp.get_clients({ bufnr = 0 }) > 0 end)
  local number = vim.fn.search('GET|HEAD /api/v1/teams/7:')
  local place = request('textDocument/definition', number - 1, 30)[1]
  vim.lsp.util.show_document(place, 'utf-16', { focus = true })
  seen.decides = { vim.fn.expand('%:t'), vim.api.nvim_get_current_line() }

  vim.cmd.edit('roles.csv')
  wait('client', function() return #vim.lsp.get_clients({ bufnr = 0 }) > 0 end)
  vim.fn.search([[^g, \zsrole:editor]])
  vim.lsp.buf.rename('role:author')
  wait('new name', function() return vim.fn.search('role:author', 'nw') > 0 end)
  vim.cmd('silent wall')
end

local done, problem = pcall(run)
seen.problem = not done and tostring(problem) or nil
vim.fn.writefile({ vim.json.encode(seen) }, vim.env.SEEN)
vim.cmd('qall!')
